"""A split of a run, encoded and kept: in a worker, or before, where a plan needs to know how long its samples are."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from graftlm.chat_templates.binding import bound, own_template
from graftlm.contracts.outcome import EncodingCounts
from graftlm.contracts.plan import EncodingPlan
from graftlm.contracts.specs import PromptTemplate
from graftlm_registry.plugins import registry

from .encode import Encoding, Report, encode_file
from .kept import ROWS, keep_staged, staging
from .tokenizing import SpanTokenizer


@contextmanager
def encoding_of(model: Path, template: str, today: str, plan: EncodingPlan) -> Iterator[Encoding]:
    """``model`` holds the tokenizer and perhaps a template of its own; ``today`` is the plan's."""
    with own_template(model, today) as own:
        yield Encoding(bound(registry().get(PromptTemplate, template), own), SpanTokenizer.from_folder(model), plan)


def encode_split(rows: Path, target: Path, encoding: Encoding, report: Report) -> EncodingCounts:
    """Rows, a file of JSON lines, go to the folder that is to keep them."""
    staged = staging(target)
    try:
        counts = encode_file(rows, staged / ROWS, encoding, report)
        keep_staged(staged, target, counts)
    finally:
        shutil.rmtree(staged, ignore_errors=True)
    return counts
