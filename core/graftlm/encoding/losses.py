"""Rows that nothing is learned from: a few are told, many stop a run before it starts."""

from __future__ import annotations

from collections.abc import Mapping

from graftlm.contracts.errors import DataError
from graftlm.contracts.outcome import EncodingCounts

MOST_LOST = 0.1
"""Largest share of rows that may be left out."""


def refuse_losses(counts: Mapping[str, EncodingCounts], max_length: int) -> None:
    """``DataError`` where more than a tenth of the rows of all splits, or the whole of one, could not be trained on."""
    whole = sum(counts.values(), EncodingCounts())
    if whole.too_long > whole.rows * MOST_LOST:
        raise DataError(
            f"{whole.too_long} of {whole.rows} rows are longer than --max-length {max_length}: raise it, shorten them, "
            "or choose --overlong truncate-right"
        )
    if whole.nothing_trained > whole.rows * MOST_LOST:
        raise DataError(
            f"{whole.nothing_trained} of {whole.rows} rows have nothing to train on (every turn says 'train: false', "
            "or the answer was cut off)"
        )
    for name, split in counts.items():
        if not split.samples:
            raise DataError(
                f"none of the {split.rows} {name} rows can be trained on: {split.too_long} are longer than "
                f"--max-length {max_length}, {split.nothing_trained} have nothing to train on"
            )
