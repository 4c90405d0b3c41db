"""An adapter from outside, into the store: one of graftlm's own with its record, any other proved on its base first."""

from __future__ import annotations

import re
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from graftlm.chat_templates.binding import undated
from graftlm.chat_templates.own import OwnTemplate
from graftlm.contracts.config import AUTO
from graftlm.contracts.errors import GraftlmError, PluginError, RunError, UsageError
from graftlm.contracts.job import Answerer, Kept
from graftlm.contracts.model import ModelDescription
from graftlm.contracts.outcome import Effective, Proof
from graftlm.contracts.plan import EncodingPlan
from graftlm.contracts.record import AdapterRecord, BaseModel
from graftlm.contracts.serial import file_digest, to_builtins
from graftlm.contracts.specs import PromptTemplate, TuningMethod
from graftlm.environments.probing import probe
from graftlm.planning import base_model
from graftlm.planning.fingerprints import SMALL_FILES, model_digest, template_hash
from graftlm.planning.prompting import JUDGE, choose_template
from graftlm.running.answerers import of_model
from graftlm.running.fitting import prove_fit, texts_for
from graftlm.running.worker_process import OnEvent, StartWorker, run_worker
from graftlm.version import __version__
from graftlm_registry.adapters import open_store
from graftlm_registry.adapters.content import content_digest
from graftlm_registry.adapters.names import check_name
from graftlm_registry.plugins import Registry

from .base import find_base, other_base, unfit
from .with_record import publish_with_record, published

if TYPE_CHECKING:
    from graftlm_registry.adapters.outside.taking_in import TakenIn

HUB = "hf:"
LONGEST = 512
"""Tokens of a row that is scored by its loss, where no record says how long the rows of its training were."""
LEFT = "left aside: "
OWN_FILES = frozenset(("README.md", "manifest.json"))
"""What graftlm itself wrote beside a record: nobody misses it."""
VARIANTS = (("use_dora", "dora"), ("use_rslora", "rslora"))
"""LoRA by other names, by what says so in the configuration."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BroughtIn:
    """``notes`` say what was changed or left aside; ``proved``: by this graftlm, not by the one that made it; ``new``:
    it was not in the store before.
    """

    record: AdapterRecord
    notes: tuple[str, ...]
    proved: bool
    new: bool


def bring(
    source: str,
    registry: Registry,
    on_event: OnEvent,
    *,
    name: str = "",
    base: str = "",
    template: str = "",
    start: StartWorker = run_worker,
) -> BroughtIn:
    """From a folder, an archive, or ``hf:owner/name``."""
    if not source.startswith(HUB):
        path = Path(source).expanduser()
        if not path.exists():
            raise UsageError(f"{source} is not there: give a folder, an archive, or hf:OWNER/NAME")
        said = str(path.resolve())
        return _brought(path, registry, on_event, name, path.name, base, template, said, start)
    from .hub import downloaded

    folder = Path(tempfile.mkdtemp(prefix="graftlm-"))
    try:
        found = downloaded(source, folder)
        bare = source.removeprefix(HUB).partition("@")[0].rpartition("/")[2]
        return _brought(found, registry, on_event, name, bare, base, template, source, start)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def bring_in(
    folder: Path,
    registry: Registry,
    on_event: OnEvent,
    *,
    name: str = "",
    base: str = "",
    template: str = "",
    source: str = "",
    start: StartWorker = run_worker,
) -> BroughtIn:
    """From a folder that was fetched from ``source``."""
    called = source.rstrip("/").rpartition("/")[2]
    return _brought(folder, registry, on_event, name, called, base, template, source, start)


def _brought(
    place: Path,
    registry: Registry,
    on_event: OnEvent,
    name: str,
    called: str,
    base: str,
    template: str,
    source: str,
    start: StartWorker,
) -> BroughtIn:
    """``called`` is what the place is called: the adapter's name, where none is given and no record has one."""
    from graftlm_registry.adapters.outside.taking_in import take_in

    if name:
        check_name(name)
    store = open_store()
    staged = store.stage()
    try:
        taken = take_in(place, staged)
        if taken.record is not None and not base and not template:
            record, new = publish_with_record(taken, staged, name, source, config=taken.given)
            notes = tuple(note for note in taken.notes if not _is_of_own_files(note))
            return BroughtIn(record=record, notes=notes, proved=False, new=new)
        name = check_name(name or _name(called))
        method = _method(taken, registry)
        reference, description = find_base(taken.base, base, registry)
        chosen = _template(taken, template, description, registry)
        who = replace(
            of_model(reference, registry, chosen, ""),
            kept=Kept(folder=str(staged), method=method),
        )
        try:
            effective, proof = prove_fit(who, texts_for(who, registry), on_event, start)
        except RunError as error:
            raise unfit(error, description) from None
        digest = content_digest(staged)
        draft = _draft(taken, who, reference, description, effective, proof, registry)
        record, new = published(staged, replace(draft, name=name, digest=digest, source=source, method=method))
        notes = (*taken.notes, *other_base(taken.base, base, description))
        return BroughtIn(record=record, notes=notes, proved=True, new=new)
    except GraftlmError as error:  # a worker speaks of the files that it was given
        error.args = (str(error).replace(str(staged), str(place)),)
        raise
    finally:
        shutil.rmtree(staged, ignore_errors=True)


def _is_of_own_files(note: str) -> bool:
    names = note.removeprefix(LEFT).split(", ")
    return note.startswith(LEFT) and all(name.rpartition("/")[2] in OWN_FILES for name in names)


def _name(words: str) -> str:
    """A folder's or a repository's name as a name for an adapter; ``UsageError`` where nothing of it can be one."""
    bare = re.sub(r"\.(tar\.\w+|tgz|tar|zip)$", "", words.lower())
    name = re.sub(r"[^a-z0-9_-]+", "-", bare).strip("-_")[:64]
    if not name:
        raise UsageError(f"'{words}' is no name for an adapter: give one with --name")
    return name


def _method(taken: TakenIn, registry: Registry) -> str:
    """The tuning method that puts it onto a base."""
    name = taken.peft_type.lower()
    name = next((v for key, v in VARIANTS if name == "lora" and taken.config.get(key)), name)
    try:
        spec = registry.get(TuningMethod, name)
    except PluginError as error:
        raise PluginError(f"an adapter of PEFT's type {taken.peft_type} cannot be kept: {error}") from None
    if spec.keeps != "adapter":
        raise PluginError(f"an adapter of PEFT's type {taken.peft_type} cannot be kept: graftlm has no such adapters")
    return spec.name


def _template(taken: TakenIn, asked: str, description: ModelDescription, registry: Registry) -> str:
    """Of the adapter's own chat template, which it was trained with, the name that it has here."""
    if asked or not taken.chat_template:
        return asked or AUTO
    with OwnTemplate.from_folder(description.folder, description.name) as own:
        same = own.chat_template.strip() == taken.chat_template.strip()
    if same:
        return AUTO
    family = base_model.family_of(description, "auto", registry)
    folder = Path(tempfile.mkdtemp(prefix="graftlm-"))
    try:
        for file in SMALL_FILES:
            if "/" not in file and (description.folder / file).is_file():
                shutil.copyfile(description.folder / file, folder / file)
        (folder / "chat_template.jinja").write_text(taken.chat_template, encoding="utf-8")
        theirs = replace(description, folder=folder, name="the adapter")
        found = choose_template(AUTO, False, family, theirs, registry)
        if found.problems or found.own != "same" or found.template.name == JUDGE:
            raise UsageError(
                "the adapter brings a chat template of its own, which is not its base's, and none that graftlm knows "
                "renders as it does: say with --template which one it was trained with ('graftlm templates list')"
            )
        return found.template.name
    except GraftlmError as error:
        if isinstance(error, UsageError):
            raise
        raise UsageError(
            f"the adapter's own chat template cannot be used ({error}): say with --template which one it was trained "
            "with"
        ) from None
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _draft(
    taken: TakenIn,
    who: Answerer,
    reference: str,
    description: ModelDescription,
    effective: Effective,
    proof: Proof,
    registry: Registry,
) -> AdapterRecord:
    """The record, with what is still to be filled in left empty."""
    with OwnTemplate.from_folder(description.folder, description.name) as own:
        hashed = template_hash(undated(registry.get(PromptTemplate, who.template), own))
    devices = probe().devices
    return AdapterRecord(
        name="",
        version=0,
        kind="adapter",
        digest="",
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        run="",
        base=BaseModel(
            reference=reference,
            name=description.name,
            source=description.source,
            revision=description.revision,
            files_digest=model_digest(description),
            weights_digest=proof.base_after,
            dtype=who.load.dtype,
            model_type=description.model_type,
            family=base_model.family_of(description, "auto", registry).name,
        ),
        load=who.load,
        template=who.template,
        template_hash=hashed,
        tokenizer_hash=file_digest(Path(who.model) / "tokenizer.json"),
        quantization="none",
        method="",
        hyperparameters=_hyperparameters(taken.config, who.thinking),
        data_digest="",
        split_rows={},
        plan_hash="",
        effective=effective,
        proof=proof,
        scores=(),
        final_loss=None,
        validation_loss=None,
        device=devices[0].name if who.device != "cpu" else devices[-1].name,
        graftlm=__version__,
        thinking=who.thinking,
        origin="imported",
    )


def _hyperparameters(config: Mapping[str, Any], thinking: bool) -> dict[str, Any]:
    """What the configuration says; nothing is known of the training."""
    targets = config.get("target_modules")
    return {
        "rank": config.get("r"),
        "alpha": config.get("lora_alpha"),
        "dropout": config.get("lora_dropout"),
        "target_modules": sorted(targets) if isinstance(targets, list | tuple) else [],
        "options": {},
        "encoding": to_builtins(EncodingPlan(max_length=LONGEST, thinking=thinking)),
    }
