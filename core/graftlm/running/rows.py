"""The rows of a run, from the files that the plan names to encoded splits in the run's folder."""

from __future__ import annotations

import shutil
from pathlib import Path

from graftlm.contracts.errors import StoreError
from graftlm.contracts.job import EncodeJob
from graftlm.contracts.plan import Plan
from graftlm.contracts.serial import to_json
from graftlm.data.samples import suite_file
from graftlm.encoding.kept import is_kept, lay_out, read_counts
from graftlm.encoding.losses import refuse_losses
from graftlm.planning.encoded_rows import encoded_folder, rows_folder
from graftlm_registry.home import home, link, sweep
from graftlm_registry.plugins import Registry

from .worker_process import OnEvent, StartWorker

TRAINED_ON = ("train", "validation")
"""Splits that are encoded; test rows are read when the run is scored, not before."""


def lay_out_rows(plan: Plan, registry: Registry, run: Path) -> None:
    """Write ``RUN/data/SPLIT.jsonl``, as links to the rows that are kept for this data."""
    rows = kept_rows(plan, registry)
    own = [e for e in plan.evaluations if e.path and Path(e.path).is_relative_to(home())]
    try:
        (run / "data").mkdir()
        for evaluation in own:  # the cache, where the user's own are, is swept
            link(Path(evaluation.path), run / "data" / suite_file(evaluation))
        for split in plan.data.splits:
            link(rows / f"{split.name}.jsonl", run / "data" / f"{split.name}.jsonl")
    except OSError as error:
        raise StoreError(f"the rows cannot be written to {run / 'data'}: {error.strerror}") from None


def kept_rows(plan: Plan, registry: Registry) -> Path:
    """The folder of ``SPLIT.jsonl`` that is kept for the plan's data."""
    return rows_folder(plan.data, plan.settings, registry)


def encode_rows(plan: Plan, run: Path, on_event: OnEvent, start: StartWorker) -> None:
    """Put ``RUN/encoded/SPLIT.safetensors`` there: what was encoded before is taken again, and what is there stays."""
    splits = [split for split in plan.data.splits if split.name in TRAINED_ON]
    if all(
        (run / "encoded" / f"{split.name}.{kind}").is_file() for split in splits for kind in ("safetensors", "json")
    ):
        return
    folders: dict[str, Path] = {split.name: encoded_folder(split, plan.template, plan.encoding) for split in splits}
    missing = {name: str(folder) for name, folder in folders.items() if not is_kept(folder)}
    if missing:
        for target in missing.values():
            shutil.rmtree(target, ignore_errors=True)  # half of one
        job = EncodeJob(
            model=plan.model.folder,
            template=plan.template.name,
            encoding=plan.encoding,
            targets=missing,
            rows=sum(split.rows for split in splits if split.name in missing),
            today=plan.template.today,
        )
        (run / "encode.json").write_bytes(to_json(job))
        start("encode", run, on_event)
    for name, folder in folders.items():
        lay_out(folder, run / "encoded", name)
    refuse_losses({name: read_counts(run / "encoded" / f"{name}.json") for name in folders}, plan.encoding.max_length)
    for cache in ("encoded", "data", "stdin", "chat-templates", "digests"):
        sweep(home() / "cache" / cache)
