"""The rows of a run, from the files that the plan names to encoded splits in the run's folder."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from graftlm.contracts.errors import StoreError
from graftlm.contracts.job import EncodeJob
from graftlm.contracts.plan import Plan
from graftlm.contracts.serial import digest, file_digest, to_json
from graftlm.contracts.specs import DataFormat
from graftlm.data.splits import write_splits
from graftlm.encoding.kept import is_kept, link
from graftlm.planning.data_plan import data_request
from graftlm.planning.fingerprints import code_digest
from graftlm_registry.home import home, sweep
from graftlm_registry.plugins import Registry

from .worker_process import OnEvent, StartWorker

TRAINED_ON = ("train", "validation")
"""Splits that are encoded; test rows are read when the run is scored, not before."""


def lay_out_rows(plan: Plan, registry: Registry, run: Path) -> None:
    """Write ``RUN/data/SPLIT.jsonl``, as links to the rows that are kept for this data."""
    kept = home() / "cache" / "data" / plan.data.key
    rows = kept / "rows"
    try:
        if not rows.is_dir():
            fresh = kept / f"rows.{os.getpid()}"
            shutil.rmtree(fresh, ignore_errors=True)
            data_format = registry.get(DataFormat, plan.data.format)
            try:
                write_splits(data_request(plan.settings), data_format, plan.data.splits, fresh)
                fresh.rename(rows)
            finally:
                shutil.rmtree(fresh, ignore_errors=True)
        os.utime(kept)
        (run / "data").mkdir()
        for path in rows.iterdir():
            _link(path, run / "data" / path.name)
    except OSError as error:
        raise StoreError(f"the rows cannot be written to {error.filename or kept}: {error.strerror}") from None


def _link(path: Path, target: Path) -> None:
    try:
        os.link(path, target)
    except OSError:
        shutil.copyfile(path, target)


def encode_rows(plan: Plan, run: Path, on_event: OnEvent, start: StartWorker) -> None:
    """Put ``RUN/encoded/SPLIT.safetensors`` there: what was encoded before is taken again."""
    root = home() / "cache" / "encoded"
    tokenizer = file_digest(Path(plan.model.folder) / "tokenizer.json")
    template = plan.part("template")
    made_of = [
        tokenizer, plan.template.hash, [template.distribution, template.version], plan.encoding,
        plan.probe.versions.get("tokenizers"), code_digest(),
    ]  # fmt: skip
    splits = [split for split in plan.data.splits if split.name in TRAINED_ON]
    folders: dict[str, Path] = {split.name: root / digest([split.digest, made_of]) for split in splits}
    missing = {name: str(folder) for name, folder in folders.items() if not is_kept(folder)}
    if missing:
        job = EncodeJob(
            model=plan.model.folder,
            template=plan.template.name,
            encoding=plan.encoding,
            targets=missing,
            rows=sum(split.rows for split in splits if split.name in missing),
        )
        (run / "encode.json").write_bytes(to_json(job))
        start("encode", run, on_event)
    for name, folder in folders.items():
        link(folder, run / "encoded", name)
    for cache in (root, root.with_name("data"), root.with_name("stdin")):
        sweep(cache)
