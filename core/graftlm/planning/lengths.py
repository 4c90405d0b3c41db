"""How long the longest samples of a run will be."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from graftlm.contracts.errors import GraftlmError
from graftlm.contracts.plan import EncodingPlan
from graftlm.contracts.serial import digest, to_json
from graftlm.contracts.specs import PromptTemplate
from graftlm.data.rows import read_row
from graftlm_registry.home import home, keep

from .fingerprints import small_files, template_hash
from .kept import kept_value

MOST = 1024
"""Lengths that are kept: a long text alone may become any number of samples."""


def longest_samples(
    rows: Sequence[str], template: PromptTemplate, encoding: EncodingPlan, folder: Path, data_key: str
) -> tuple[int, ...]:
    """Tokens of the longest of ``rows`` (lines of JSON), the longest first, each at most ``max_length``; that alone
    where there are none.
    """
    if not rows:
        return (encoding.max_length,)
    key = digest([template_hash(template), encoding, small_files(folder), rows])[:16]
    kept = home() / "cache" / "data" / data_key / f"lengths-{key}.json"
    known = kept_value(kept, tuple[int, ...])
    if known is None:
        known = _measured(rows, template, encoding, folder)
        keep(kept, to_json(known))
    return known


def _measured(rows: Sequence[str], template: PromptTemplate, encoding: EncodingPlan, folder: Path) -> tuple[int, ...]:
    """Of rows that become no sample, too: which those are is found out when all are encoded."""
    from graftlm.encoding.samples import SampleMaker
    from graftlm.encoding.tokenizing import SpanTokenizer

    lengths: list[int] = []
    try:
        maker = SampleMaker(template, SpanTokenizer.from_folder(folder), encoding)
        for row in map(read_row, rows):
            made = maker.samples(row)
            lengths += [len(sample.ids) for sample in made.samples] or [min(encoding.max_length, made.length)]
    except GraftlmError:  # whatever it is stands in the plan's problems, or stops the encoding
        return (encoding.max_length,)
    return tuple(sorted(lengths, reverse=True)[:MOST])
