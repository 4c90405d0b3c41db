"""How long the longest sample of a run will be."""

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


def longest_sample(
    rows: Sequence[str], template: PromptTemplate, encoding: EncodingPlan, folder: Path, data_key: str
) -> int:
    """Tokens of the longest of ``rows`` (lines of JSON), at most ``max_length``, which it is where there are none."""
    if not rows:
        return encoding.max_length
    key = digest([template_hash(template), encoding, small_files(folder), rows])[:16]
    kept = home() / "cache" / "data" / data_key / f"longest-{key}.json"
    known = kept_value(kept, int)
    if known is None:
        known = _measured(rows, template, encoding, folder)
        keep(kept, to_json(known))
    return known


def _measured(rows: Sequence[str], template: PromptTemplate, encoding: EncodingPlan, folder: Path) -> int:
    from graftlm.encoding.samples import SampleMaker
    from graftlm.encoding.tokenizing import SpanTokenizer

    try:
        maker = SampleMaker(template, SpanTokenizer.from_folder(folder), encoding)
        lengths = [maker.samples(read_row(row)).length for row in rows]
    except GraftlmError:  # whatever it is stands in the plan's problems, or stops the encoding
        return encoding.max_length
    return min(encoding.max_length, max(lengths))
