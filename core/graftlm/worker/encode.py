"""Encode once: rows become ids and labels in files that every backend reads.

``NAME.safetensors`` holds ``ids`` and ``labels`` (int32, all rows one after the other; a label of -100 is not trained)
and ``offsets`` (int64, ``rows + 1``: row i is ``[offsets[i], offsets[i + 1])``).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load_file, save_file

from graftlm.contracts.conversation import Conversation, RenderOptions
from graftlm.contracts.errors import DataError
from graftlm.contracts.outcome import EncodingCounts
from graftlm.contracts.specs import PromptTemplate
from graftlm.data.conversations import read_row

from .events import Events
from .tokenizing import IGNORED, Encoded, SpanTokenizer

Ints = NDArray[np.integer[Any]]

MOST_LOST = 0.1
"""Largest share of rows that may be left out before the run stops."""


@dataclass(frozen=True, slots=True)
class EncodedRows:
    """Encoded rows, as arrays."""

    ids: Ints
    labels: Ints
    offsets: Ints

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def row(self, index: int) -> tuple[Ints, Ints]:
        begin, end = self.offsets[index], self.offsets[index + 1]
        return self.ids[begin:end], self.labels[begin:end]

    def length(self, index: int) -> int:
        return int(self.offsets[index + 1] - self.offsets[index])

    def trained(self, index: int) -> int:
        """Trained tokens that a causal model predicts: the first token of a row has nothing before it."""
        return int((self.row(index)[1][1:] != IGNORED).sum())


def read_rows(path: Path) -> Iterator[Conversation]:
    with path.open(encoding="utf-8") as file:
        for line in file:
            yield read_row(line)


def encode_file(
    source: Path,
    target: Path,
    template: PromptTemplate,
    tokenizer: SpanTokenizer,
    max_length: int,
    events: Events,
    total: int,
) -> EncodingCounts:
    """Encode a file of rows. ``DataError`` where more than a tenth of them could not be trained on."""
    kept: list[Encoded] = []
    too_long = nothing = rows = 0
    for rows, conversation in enumerate(read_rows(source), 1):
        if rows % 1000 == 0:
            events.checkpoint()
            events.progress("encode", rows, total)
        encoded = tokenizer.encode(template.render(conversation, RenderOptions()))
        if len(encoded.ids) > max_length:
            too_long += 1
        elif all(label == IGNORED for label in encoded.labels[1:]):
            nothing += 1
        else:
            kept.append(encoded)
    _check(rows, too_long, nothing, max_length)
    arrays: dict[str, Ints] = {
        "ids": np.fromiter((i for e in kept for i in e.ids), dtype=np.int32),
        "labels": np.fromiter((i for e in kept for i in e.labels), dtype=np.int32),
        "offsets": np.cumsum([0, *(len(e.ids) for e in kept)], dtype=np.int64),
    }
    target.parent.mkdir(parents=True, exist_ok=True)
    save_file(arrays, target)
    return EncodingCounts(
        rows=rows,
        used=len(kept),
        too_long=too_long,
        nothing_trained=nothing,
        tokens=len(arrays["ids"]),
        trained_tokens=int((arrays["labels"] != IGNORED).sum()),
    )


def _check(rows: int, too_long: int, nothing: int, max_length: int) -> None:
    if too_long > rows * MOST_LOST:
        raise DataError(
            f"{too_long} of {rows} rows are longer than --max-length {max_length}: raise it, or shorten them"
        )
    if nothing > rows * MOST_LOST or too_long + nothing == rows:
        raise DataError(f"{nothing} of {rows} rows have nothing to train on (every turn says 'train: false')")


def load_rows(path: Path) -> EncodedRows:
    arrays = load_file(path)
    return EncodedRows(arrays["ids"], arrays["labels"], arrays["offsets"])
