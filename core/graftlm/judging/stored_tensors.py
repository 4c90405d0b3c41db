"""The tensors of a safetensors file, read with numpy: whole, or piece by piece."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from graftlm.contracts.errors import StoreError
from graftlm_registry.adapters.outside.safetensors_file import read_file_header

if TYPE_CHECKING:
    import numpy as np

TYPES = {"F64": "<f8", "F32": "<f4", "F16": "<f2", "I64": "<i8", "I32": "<i4", "U8": "|u1", "BOOL": "|b1"}
BFLOAT = "BF16"
PIECE = 1 << 22
"""Numbers that are read at a time."""


@dataclass(frozen=True, slots=True)
class Stored:
    """Where a tensor is: ``begin`` is the offset of its first byte in the file."""

    path: Path
    name: str
    dtype: str
    shape: tuple[int, ...]
    begin: int
    end: int

    def read(self) -> np.ndarray[Any, Any]:
        """All of it, in float64."""
        return self._numbers(self.begin, self.end).astype("float64").reshape(self.shape)

    def pieces(self) -> Iterator[np.ndarray[Any, Any]]:
        """All of it in order, flat and in float32; of two tensors of one shape, whatever their types, as many."""
        import numpy as np

        step = PIECE * (2 if self.dtype == BFLOAT else np.dtype(self._type()).itemsize)
        for begin in range(self.begin, self.end, step):
            yield self._numbers(begin, min(begin + step, self.end)).astype("float32")

    def _type(self) -> str:
        if self.dtype not in TYPES:
            raise StoreError(f"{self.path} has {self.name} as {self.dtype}, which cannot be compared")
        return TYPES[self.dtype]

    def _numbers(self, begin: int, end: int) -> np.ndarray[Any, Any]:
        import numpy as np

        kind = "<u2" if self.dtype == BFLOAT else self._type()
        with self.path.open("rb") as file:
            file.seek(begin)
            raw = file.read(end - begin)
        if self.dtype == BFLOAT:  # the upper half of a float32
            return (np.frombuffer(raw, kind).astype("<u4") << 16).view("<f4")
        return np.frombuffer(raw, kind)


def stored_tensors(path: Path) -> Iterator[tuple[str, Stored]]:
    """By name; nothing is read but the header. ``StoreError`` where the file is no safetensors file."""
    header = read_file_header(path)
    for name, found in header.tensors.items():
        begin, end = header.data + found.begin, header.data + found.end
        yield name, Stored(path, name, found.dtype, tuple(found.shape), begin, end)
