"""A safetensors file, read strictly from its bytes; nothing of it is believed.

The header is walked entry by entry, each bounded, so that no header costs more than its own size in memory. What is
accepted here is read in the same way by the safetensors package; that package accepts more than this.
"""

from __future__ import annotations

import json
import re
import struct
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from graftlm.contracts.errors import StoreError

LARGEST_HEADER = 16 << 20
MOST_TENSORS = 1 << 16
LONGEST_NAME = 512
LARGEST_METADATA = 1 << 20
LARGEST_ENTRY = 1024
MOST_DIMENSIONS = 8
LARGEST_COUNT = 1 << 62
BITS = {
    "BOOL": 8, "U8": 8, "I8": 8, "F8_E4M3": 8, "F8_E5M2": 8, "F8_E8M0": 8, "F8_E4M3FNUZ": 8, "F8_E5M2FNUZ": 8,
    "I16": 16, "U16": 16, "F16": 16, "BF16": 16, "I32": 32, "U32": 32, "F32": 32, "I64": 64, "U64": 64, "F64": 64,
    "C64": 64, "F4": 4, "F6_E2M3": 6, "F6_E3M2": 6,
}  # fmt: skip
"""How many bits an item has, by the name of its type."""
BLANK, COLON = re.compile(r"[ \t\n\r]*"), re.compile(r"[ \t\n\r]*:[ \t\n\r]*")
SIGN = re.compile(r"[ \t\n\r]*([,}])[ \t\n\r]*")
WORDS, PAIRS = json.JSONDecoder(), json.JSONDecoder(object_pairs_hook=list)


class Tensor(NamedTuple):
    """Where a tensor lies behind the header: ``begin`` to ``end``."""

    dtype: str
    shape: tuple[int, ...]
    begin: int
    end: int


@dataclass(frozen=True, slots=True)
class Header:
    """What a file says of its tensors, by name. ``data`` is the offset of the first byte behind the header."""

    tensors: Mapping[str, Tensor]
    data: int


class _Flawed(Exception):
    """A reason why a header is none."""


def read_file_header(path: Path) -> Header:
    """The header of a file whose every byte of data belongs to one tensor; ``StoreError`` otherwise."""
    with path.open("rb") as file:
        file.seek(0, 2)
        size = file.tell()
        file.seek(0)
        return read_open_header(file, size, str(path))


def read_open_header(file: BinaryIO, size: int, called: str) -> Header:
    """As ``read_file_header``, of an open file at its start that has ``size`` bytes."""
    start = file.read(8)
    length = struct.unpack("<Q", start)[0] if len(start) == 8 else 0
    if not 2 <= length <= size - 8:
        raise StoreError(f"{called} is not a safetensors file, or is cut short")
    if length > LARGEST_HEADER:
        raise StoreError(f"{called} has a header of {length:,} bytes, and graftlm reads {LARGEST_HEADER:,} at the most")
    text = file.read(length)
    if len(text) != length:
        raise StoreError(f"{called} is not a safetensors file, or is cut short")
    if text.count(b'"data_offsets"') > MOST_TENSORS:
        raise StoreError(f"{called} has more than {MOST_TENSORS:,} tensors, and graftlm reads no more than that")
    try:
        tensors = dict(_entries(text.decode()))
        _check_extents(tensors, size - 8 - length)
    except UnicodeDecodeError:
        raise StoreError(f"{called} is not a safetensors file: its header is not UTF-8") from None
    except _Flawed as flaw:
        raise StoreError(f"{called} is not a safetensors file: {flaw}") from None
    return Header(tensors, 8 + length)


def _entries(text: str) -> Iterator[tuple[str, Tensor]]:
    """Each tensor's name and place, in the order of the header."""
    if not text.startswith("{"):
        raise _Flawed("its header is not a JSON object")
    seen: set[str] = set()
    at = _behind_blank(text, 1)
    if text[at : at + 1] == "}":
        _only_blank(text, at + 1)
        return
    while True:
        name, at = _string(text, at)
        if name in seen:
            raise _Flawed(f"its header names {name!r} twice")
        if len(seen) > MOST_TENSORS:
            raise _Flawed(f"it has more than {MOST_TENSORS:,} tensors")
        seen.add(name)
        if name == "__metadata__":
            at = _behind_metadata(text, at)
        else:
            check_tensor_name(name)
            tensor, at = _tensor(name, text, at)
            yield name, tensor
        sign = SIGN.match(text, at)
        if not sign:
            raise _Flawed("its header is not JSON, or is cut short")
        at = sign.end()
        if sign[1] == "}":
            _only_blank(text, at)
            return


def check_tensor_name(name: str) -> None:
    """A name that can be printed, is the same everywhere, and looks like no path."""
    if not 0 < len(name) <= LONGEST_NAME:
        why = f"is empty or longer than {LONGEST_NAME} characters"
    elif not name.isprintable() or not (name.isascii() or unicodedata.is_normalized("NFC", name)):
        why = "has characters that cannot be printed, or are not in their normal form"
    elif ".." in name or "\\" in name or name.startswith(("/", "~")) or name[1:2] == ":":
        why = "looks like a path"
    else:
        return
    raise _Flawed(f"a tensor's name, {shortened(name)}, {why}")


def shortened(words: str) -> str:
    """As it can be printed: quoted, escaped, and no longer than a line."""
    return ascii(words if len(words) <= 80 else words[:77] + "...")


def _tensor(name: str, text: str, at: int) -> tuple[Tensor, int]:
    """One entry. It holds no braces, so it ends at the first one."""
    end = text.find("}", at, at + LARGEST_ENTRY) + 1
    if text[at : at + 1] != "{" or not end:
        raise _Flawed(f"{name!r} has no place in it")
    try:
        pairs, stop = PAIRS.raw_decode(text[at:end])
    except (ValueError, RecursionError):
        raise _Flawed(f"{name!r} has no place in it: its entry is not JSON") from None
    entry: dict[str, Any] = dict(pairs)
    if stop != end - at or len(pairs) != 3 or entry.keys() != {"dtype", "shape", "data_offsets"}:
        raise _Flawed(f"{name!r} has no place in it: an entry has dtype, shape and data_offsets, each once")
    dtype, shape, offsets = entry["dtype"], entry["shape"], entry["data_offsets"]
    if not isinstance(dtype, str) or dtype not in BITS:
        raise _Flawed(f"{name!r} has a dtype that graftlm does not know: {shortened(str(dtype))}")
    if not _counts(shape) or len(shape) > MOST_DIMENSIONS:
        raise _Flawed(f"{name!r} has a shape that is none: up to {MOST_DIMENSIONS} whole numbers, none negative")
    if not _counts(offsets) or len(offsets) != 2:
        raise _Flawed(f"{name!r} has no place in it: its data_offsets are not two whole numbers")
    bits = prod(shape) * BITS[dtype]
    if bits != 8 * (offsets[1] - offsets[0]):
        raise _Flawed(f"{name!r} takes other room than its shape and its dtype need")
    return Tensor(dtype, tuple(shape), offsets[0], offsets[1]), end


def _counts(value: object) -> bool:
    if not isinstance(value, list) or not set(map(type, value)) <= {int}:
        return False
    return not value or (min(value) >= 0 and max(value) < LARGEST_COUNT)


def _behind_metadata(text: str, at: int) -> int:
    """The end of the metadata: words by name, which nothing here uses."""
    part = text[at : at + LARGEST_METADATA]
    try:
        pairs, end = PAIRS.raw_decode(part)
    except (ValueError, RecursionError):
        raise _Flawed(f"its metadata are not JSON, or longer than {LARGEST_METADATA:,} characters") from None
    named = part.startswith("{") and all(isinstance(value, str) for _, value in pairs)
    if not named or len({name for name, _ in pairs}) != len(pairs):
        raise _Flawed("its metadata are not words by name, each once")
    if any("\ud800" <= c <= "\udfff" for pair in pairs for words in pair for c in words):
        raise _Flawed("its metadata hold half a character")
    return at + end


def _string(text: str, at: int) -> tuple[str, int]:
    """A name, and where its value begins."""
    if text[at : at + 1] != '"':
        raise _Flawed("its header is not JSON")
    try:
        name, at = WORDS.raw_decode(text, at)
    except ValueError:
        raise _Flawed("its header is not JSON, or is cut short") from None
    colon = COLON.match(text, at)
    if not colon:
        raise _Flawed("its header is not JSON, or is cut short")
    return name, colon.end()


def _behind_blank(text: str, at: int) -> int:
    found = BLANK.match(text, at)
    return found.end() if found else at


def _only_blank(text: str, at: int) -> None:
    if _behind_blank(text, at) != len(text):
        raise _Flawed("its header has something behind its end")


def _check_extents(tensors: Mapping[str, Tensor], size: int) -> None:
    """Together the tensors are all of the data: no byte stands outside of them, and none in two."""
    covered = 0
    for name, tensor in sorted(tensors.items(), key=lambda named: (named[1].begin, named[1].end)):
        if tensor.end > size:
            raise _Flawed(f"it is cut short: tensor {name!r} lies outside of it")
        if tensor.begin != covered:
            raise _Flawed("it has bytes that belong to no tensor, or to two")
        covered = tensor.end
    if covered != size:
        raise _Flawed("it has bytes that belong to no tensor, or to two")
