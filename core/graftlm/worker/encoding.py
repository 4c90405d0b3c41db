"""The job ``encode``: rows become ids and labels, once, before anything that a backend needs is imported."""

from __future__ import annotations

from pathlib import Path

from graftlm.contracts.job import EncodeJob
from graftlm.contracts.serial import from_json
from graftlm.encoding.split import encode_split, encoding_of

from .events import Events


def encode_job(run: Path, events: Events) -> None:
    """Carry out ``RUN/encode.json``: each split of ``RUN/data`` goes to the folder that is to keep it."""
    job = from_json((run / "encode.json").read_bytes(), EncodeJob, "the job")
    with encoding_of(Path(job.model), job.template, job.today, job.encoding) as encoding:
        done = 0

        def report(rows: int) -> None:
            events.checkpoint()
            events.progress("encode", done + rows, job.rows)

        for split, target in job.targets.items():
            done += encode_split(run / "data" / f"{split}.jsonl", Path(target), encoding, report).rows
    events.send("done")
