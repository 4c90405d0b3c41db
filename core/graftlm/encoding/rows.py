"""Encoded rows in a file that every backend reads.

``NAME.safetensors`` holds, for all samples one after the other, ``ids`` and ``labels`` (int32; a label of -100 is not
trained), ``offsets`` (int64, ``samples + 1``: sample i is ``[offsets[i], offsets[i + 1])``) and ``rows`` (int32: the
row of the split, from 0, that each sample was made of). It is written as a stream and read through a memory map, which
takes no memory that grows with the data.
"""

from __future__ import annotations

import json
import shutil
from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .tokenizing import IGNORED, Encoded

BUFFERED = 1 << 16
"""Tokens that are written together."""
Ints = NDArray[np.integer[Any]]
DTYPES: dict[str, np.dtype[Any]] = {"I32": np.dtype(np.int32), "I64": np.dtype(np.int64)}


@dataclass(frozen=True, slots=True)
class EncodedRows:
    """Encoded samples, as arrays."""

    ids: Ints
    labels: Ints
    offsets: Ints
    rows: Ints

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def row(self, index: int) -> tuple[Ints, Ints]:
        """Ids and labels of a sample."""
        begin, end = self.offsets[index], self.offsets[index + 1]
        return self.ids[begin:end], self.labels[begin:end]

    def length(self, index: int) -> int:
        return int(self.offsets[index + 1] - self.offsets[index])

    def lengths(self) -> list[int]:
        """Of all samples."""
        found: list[int] = np.diff(self.offsets).tolist()
        return found

    def trained(self, index: int) -> int:
        """Trained tokens that a causal model predicts: the first token of a sample has nothing before it."""
        return int((self.row(index)[1][1:] != IGNORED).sum())


class PartWriter:
    """Writes a stretch of samples as raw numbers; ``PartWriter.join`` makes one file of several parts."""

    FILES = ("ids", "labels", "lengths", "rows")

    def __init__(self, stem: Path) -> None:
        self._files = [_part(stem, name).open("wb") for name in self.FILES]
        self._ids, self._labels, self._lengths, self._rows = self._kept = [array("i") for _ in self.FILES]

    def __enter__(self) -> PartWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._flush()
        for file in self._files:
            file.close()

    def add(self, sample: Encoded, row: int) -> None:
        """``row`` counts from the beginning of the part."""
        self._ids.extend(sample.ids)
        self._labels.extend(sample.labels)
        self._lengths.append(len(sample.ids))
        self._rows.append(row)
        if len(self._ids) > BUFFERED:
            self._flush()

    def _flush(self) -> None:
        for file, numbers in zip(self._files, self._kept, strict=True):
            numbers.tofile(file)
            del numbers[:]

    @staticmethod
    def join(stems: Sequence[Path], first_rows: Sequence[int], target: Path) -> None:
        """Put the parts one after the other into a safetensors file, and remove them. ``first_rows`` are the rows of
        the split at which the parts begin.
        """

        def read(stem: Path, name: str) -> Ints:
            return np.fromfile(_part(stem, name), dtype=np.int32)

        lengths = np.concatenate([read(stem, "lengths") for stem in stems])
        rows = np.concatenate([read(stem, "rows") + first for stem, first in zip(stems, first_rows, strict=True)])
        offsets = np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)]).astype(np.int64)
        shapes = {
            "offsets": ("I64", len(offsets)),
            "ids": ("I32", int(offsets[-1])),
            "labels": ("I32", int(offsets[-1])),
            "rows": ("I32", len(rows)),
        }
        with target.open("wb") as file:
            file.write(_header(shapes))
            file.write(offsets.tobytes())
            for name in ("ids", "labels"):
                for stem in stems:
                    with _part(stem, name).open("rb") as part:
                        shutil.copyfileobj(part, file, 1 << 20)
            file.write(rows.astype(np.int32).tobytes())
        for stem in stems:
            for name in PartWriter.FILES:
                _part(stem, name).unlink()


def _part(stem: Path, name: str) -> Path:
    return stem.with_name(f"{stem.name}.{name}")


def _header(shapes: dict[str, tuple[str, int]]) -> bytes:
    """The head of a safetensors file whose one-dimensional tensors follow in this order."""
    described: dict[str, Any] = {}
    place = 0
    for name, (dtype, count) in shapes.items():
        end = place + count * DTYPES[dtype].itemsize
        described[name] = {"dtype": dtype, "shape": [count], "data_offsets": [place, end]}
        place = end
    head = json.dumps(described).encode()
    head += b" " * (-len(head) % 8)
    return len(head).to_bytes(8, "little") + head


def load_rows(path: Path) -> EncodedRows:
    """Map an encoded file; nothing is read before it is used."""
    with path.open("rb") as file:
        size = int.from_bytes(file.read(8), "little")
        described = json.loads(file.read(size))

    def array(name: str) -> Ints:
        tensor = described[name]
        dtype, count, begin = DTYPES[tensor["dtype"]], tensor["shape"][0], 8 + size + tensor["data_offsets"][0]
        return np.memmap(path, dtype, "r", begin, (count,)) if count else np.empty(0, dtype)

    return EncodedRows(array("ids"), array("labels"), array("offsets"), array("rows"))
