"""The numbers in an adapter's tensors: finite, and of types that adapters have."""

from __future__ import annotations

from collections.abc import Callable
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

from graftlm.contracts.errors import StoreError

from .safetensors_file import Header, read_file_header

if TYPE_CHECKING:
    from numpy.typing import NDArray

BLOCK = 1 << 20
INTEGERS = ("U8", "I8", "I16", "U16", "I32", "U32", "I64", "U64")
PREFIX = "base_model."


def check_adapter_tensors(path: Path) -> Header:
    """The header of an adapter's tensors that PEFT wrote and that hold finite numbers; ``StoreError`` otherwise."""
    header = read_file_header(path)
    if not header.tensors:
        raise StoreError(f"{path.name} holds no tensors: there is no adapter in it")
    for name, tensor in header.tensors.items():
        if not name.startswith(PREFIX):
            raise StoreError(
                f"{path.name} is not an adapter of PEFT's: its tensor {name!r} does not begin with {PREFIX!r}; "
                "save the adapter with PEFT's save_pretrained"
            )
        if 0 in tensor.shape:
            raise StoreError(f"{path.name} has a tensor without numbers, {name!r}")
        if tensor.dtype not in INTEGERS and tensor.dtype not in _TESTS:
            raise StoreError(f"{path.name} has a tensor of {tensor.dtype}, {name!r}, which no adapter needs")
    _check_values(path, header)
    return header


def _check_values(path: Path, header: Header) -> None:
    """Block by block, whatever the size of the file; tensors of one type that lie side by side are read as one."""
    import numpy as np

    placed = sorted(header.tensors.items(), key=lambda named: named[1].begin)
    with path.open("rb") as file:
        for dtype, group in groupby(placed, key=lambda named: named[1].dtype):
            side_by_side = list(group)
            if dtype in INTEGERS:
                continue
            kind, flawed = _TESTS[dtype]
            at, end = side_by_side[0][1].begin, side_by_side[-1][1].end
            file.seek(header.data + at)
            while at < end:
                block = file.read(min(end - at, BLOCK))
                if len(block) != min(end - at, BLOCK):
                    raise StoreError(f"{path.name} was cut short while it was read")
                numbers = np.frombuffer(block, dtype=kind)
                found = flawed(numbers)
                if found.any():
                    first = at + int(found.argmax()) * numbers.itemsize
                    raise _flaw(path, dtype, next(name for name, tensor in side_by_side if first < tensor.end))
                at += len(block)


def _flaw(path: Path, dtype: str, name: str) -> StoreError:
    if dtype == "BOOL":
        return StoreError(f"{path.name} has a truth value that is none in {name!r}")
    return StoreError(
        f"{path.name} has a number that is not finite in {name!r}: its training went wrong, or the file is damaged"
    )


def _not_finite(numbers: NDArray[Any]) -> Any:
    import numpy as np

    return ~np.isfinite(numbers)


def _exponent_full(mask: int) -> Callable[[NDArray[Any]], Any]:
    """Infinite or no number: all bits of the exponent are set."""
    return lambda bits: (bits & mask) == mask


_TESTS: dict[str, tuple[str, Callable[[NDArray[Any]], Any]]] = {
    "F64": ("<f8", _not_finite),
    "F32": ("<f4", _not_finite),
    "F16": ("<f2", _not_finite),
    "BF16": ("<u2", _exponent_full(0x7F80)),
    "F8_E4M3": ("u1", _exponent_full(0x7F)),
    "F8_E5M2": ("u1", _exponent_full(0x7C)),
    "BOOL": ("u1", lambda bits: bits > 1),
}
"""By dtype: how the bytes are read, and which items are none."""
