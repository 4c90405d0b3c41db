"""A whole model of a base and an adapter."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from graftlm.contracts.errors import UsageError
from graftlm.contracts.job import Answerer, MergeJob
from graftlm.contracts.record import AdapterRecord
from graftlm.contracts.serial import to_builtins, to_json
from graftlm.environments.probing import probe
from graftlm.planning.fingerprints import SMALL_FILES
from graftlm.version import __version__
from graftlm_registry.adapters import open_store
from graftlm_registry.plugins import Registry

from .fitting import carried_out, held_out, texts_for
from .out_folder import check_out, written
from .stored import Stored, stored
from .worker_process import OnEvent, StartWorker, run_worker

ALSO = ("generation_config.json", "tokenizer.model", "vocab.json", "merges.txt", "added_tokens.json")


@dataclass(frozen=True, slots=True, kw_only=True)
class Merged:
    """``difference`` is the largest between logits of adapter and merged model, ``effect`` between adapter and base,
    over ``tokens`` tokens of ``texts`` prompts; ``held_out``: those are test questions of the run. ``trained_on`` is
    the quantization that the adapter was trained on.
    """

    adapter: str
    out: str
    dtype: str
    difference: float
    effect: float
    texts: int
    tokens: int
    held_out: bool
    trained_on: str


def merge(
    name: str, out: Path, registry: Registry, on_event: OnEvent, *, dtype: str = "", start: StartWorker = run_worker
) -> Merged:
    """Write the model to ``out``; ``dtype`` is empty for the precision that the adapter was trained in.

    Raises ``StoreError`` where the base is not the adapter's, ``RunError`` where the written model is another one.
    """
    check_out(out)
    store = open_store()
    record = store.get(name)
    if dtype and dtype not in probe().dtypes:
        raise UsageError(f"--dtype {dtype}: this machine has only {', '.join(probe().dtypes)}")
    found = stored(record, store, registry, dtype or record.load.dtype)
    texts = held_out(record)
    with written(out) as partial:
        job = MergeJob(
            model=str(found.folder),
            weights=found.description.weights,
            load=found.load,
            kept=found.kept,
            out=str(partial),
            device=found.device,
            texts=texts or texts_for(_answerer(found), registry),
        )
        done = carried_out("merge", job, on_event, start)
        for file in (*SMALL_FILES, *ALSO):
            if file != "config.json" and (found.folder / file).is_file():
                (partial / file).parent.mkdir(exist_ok=True)
                shutil.copyfile(found.folder / file, partial / file)
        merged = Merged(
            adapter=record.reference,
            out=str(out),
            dtype=found.load.dtype,
            difference=done["difference"],
            effect=done["effect"],
            texts=done["texts"],
            tokens=done["tokens"],
            held_out=bool(texts),
            trained_on=record.quantization,
        )
        (partial / "graftlm.json").write_bytes(to_json(_provenance(record, merged)))
    return merged


def _provenance(record: AdapterRecord, merged: Merged) -> dict[str, object]:
    """What a merged model is made of, for whoever finds its folder."""
    return {
        "graftlm": __version__,
        "adapter": record.reference,
        "adapter_digest": record.digest,
        "base": to_builtins(record.base),
        "template": record.template,
        "rope": to_builtins(record.load.rope),
        "largest_logit_difference": merged.difference,
        "effect": merged.effect,
    }


def _answerer(found: Stored) -> Answerer:
    return Answerer(
        model=str(found.folder),
        weights=found.description.weights,
        load=found.load,
        kept=found.kept,
        template=found.record.template,
        device=found.device,
        thinking=found.record.thinking,
    )
