"""The rows of a run, from the files that the plan names to encoded splits in the run's folder."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from graftlm.contracts.errors import StoreError
from graftlm.contracts.job import EncodeJob
from graftlm.contracts.plan import Plan
from graftlm.contracts.serial import digest, to_json
from graftlm.contracts.specs import DataFormat
from graftlm.data.splits import write_splits
from graftlm.encoding.kept import is_kept, lay_out, read_counts
from graftlm.encoding.losses import refuse_losses
from graftlm.planning.data_plan import data_request
from graftlm.source import code_digest
from graftlm_registry.home import beside, home, keep_folder, link, sweep
from graftlm_registry.installed import installed_version
from graftlm_registry.plugins import Registry

from .worker_process import OnEvent, StartWorker

TRAINED_ON = ("train", "validation")
"""Splits that are encoded; test rows are read when the run is scored, not before."""


def lay_out_rows(plan: Plan, registry: Registry, run: Path) -> None:
    """Write ``RUN/data/SPLIT.jsonl``, as links to the rows that are kept for this data."""
    rows = kept_rows(plan, registry)
    try:
        (run / "data").mkdir()
        for split in plan.data.splits:
            link(rows / f"{split.name}.jsonl", run / "data" / f"{split.name}.jsonl")
    except OSError as error:
        raise StoreError(f"the rows cannot be written to {run / 'data'}: {error.strerror}") from None


def kept_rows(plan: Plan, registry: Registry) -> Path:
    """The folder of ``SPLIT.jsonl`` that is kept for this data, written where it is not there."""
    kept = home() / "cache" / "data" / plan.data.key
    rows = kept / "rows"
    names = [f"{split.name}.jsonl" for split in plan.data.splits]
    try:
        if not all((rows / name).is_file() for name in names):
            shutil.rmtree(rows, ignore_errors=True)
            fresh = beside(rows)
            data_format = registry.get(DataFormat, plan.data.format)
            try:
                write_splits(data_request(plan.settings, registry), data_format, plan.data.splits, fresh)
                keep_folder(fresh, rows)
            finally:
                shutil.rmtree(fresh, ignore_errors=True)
        os.utime(kept)
    except OSError as error:
        raise StoreError(f"the rows cannot be written to {error.filename or kept}: {error.strerror}") from None
    return rows


def encode_rows(plan: Plan, run: Path, on_event: OnEvent, start: StartWorker) -> None:
    """Put ``RUN/encoded/SPLIT.safetensors`` there: what was encoded before is taken again."""
    root = home() / "cache" / "encoded"
    made_of = [
        plan.template.hash,
        plan.template.made_of,
        plan.template.today,
        plan.encoding,
        installed_version("tokenizers"),
        code_digest(),
    ]
    splits = [split for split in plan.data.splits if split.name in TRAINED_ON]
    folders: dict[str, Path] = {split.name: root / digest([split.digest, made_of]) for split in splits}
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
        sweep(root.with_name(cache))
