"""The job ``encode``: rows become ids and labels, once, before anything that a backend needs is imported."""

from __future__ import annotations

import shutil
from pathlib import Path

from graftlm.chat_templates.binding import bound, own_template
from graftlm.contracts.job import EncodeJob
from graftlm.contracts.serial import from_json
from graftlm.contracts.specs import PromptTemplate
from graftlm.encoding.encode import Encoding, encode_file
from graftlm.encoding.kept import ROWS, keep_staged, staging
from graftlm.encoding.tokenizing import SpanTokenizer
from graftlm_registry.plugins import registry

from .events import Events


def encode_job(run: Path, events: Events) -> None:
    """Carry out ``RUN/encode.json``: each split of ``RUN/data`` goes to the folder that is to keep it."""
    job = from_json((run / "encode.json").read_bytes(), EncodeJob, "the job")
    folder = Path(job.model)
    with own_template(folder, job.today) as own:
        template = bound(registry().get(PromptTemplate, job.template), own)
        encoding = Encoding(template, SpanTokenizer.from_folder(folder), job.encoding)
        done = 0

        def report(rows: int) -> None:
            events.checkpoint()
            events.progress("encode", done + rows, job.rows)

        for split, target in job.targets.items():
            staged = staging(Path(target))
            try:
                counts = encode_file(run / "data" / f"{split}.jsonl", staged / ROWS, encoding, report)
                keep_staged(staged, Path(target), counts)
            finally:
                shutil.rmtree(staged, ignore_errors=True)
            done += counts.rows
    events.send("done")
