"""Digests of what an adapter is, whichever process wrote it.

PEFT's own files differ from process to process (set order, metadata order), so tensors and configuration are digested
in canonical form.
"""

from __future__ import annotations

import hashlib
import json
import struct
from pathlib import Path
from typing import Any

from graftlm.contracts.errors import StoreError

LARGEST_HEADER = 25_000_000


def content_digest(folder: Path) -> str:
    """SHA-256 over the files of a flat folder: safetensors by tensor, JSON by value. Anything else is refused."""
    whole = hashlib.sha256()
    for path in sorted(folder.iterdir()):
        if path.is_symlink() or not path.is_file():
            raise StoreError(f"{path} is not a regular file, and an adapter holds only those")
        if path.suffix == ".safetensors":
            part = tensors_digest(path)
        elif path.suffix == ".json":
            part = _json_digest(path)
        else:
            raise StoreError(f"{path} is neither safetensors nor JSON, and an adapter holds only those")
        whole.update(f"{path.name}\0{part}\n".encode())
    return whole.hexdigest()


def read_header(path: Path) -> tuple[dict[str, Any], int]:
    """A safetensors header without its metadata, and the offset of the data."""
    with path.open("rb") as file:
        start = file.read(8)
        length = struct.unpack("<Q", start)[0] if len(start) == 8 else LARGEST_HEADER + 1
        if length > LARGEST_HEADER:
            raise StoreError(f"{path} is not a safetensors file, or is cut short")
        try:
            header = json.loads(file.read(length))
        except (ValueError, RecursionError):
            raise StoreError(f"{path} is not a safetensors file, or is cut short") from None
    if not isinstance(header, dict):
        raise StoreError(f"{path} is not a safetensors file")
    header.pop("__metadata__", None)
    return header, 8 + length


def tensors_digest(path: Path) -> str:
    """SHA-256 over names, dtypes, shapes and bytes of the tensors, by name."""
    header, data = read_header(path)
    digest = hashlib.sha256()
    size = path.stat().st_size - data
    places = _places(path, header, size)
    with path.open("rb") as file:
        for name in sorted(header):
            begin, end = places[name]
            digest.update(json.dumps([name, header[name]["dtype"], header[name]["shape"]]).encode())
            file.seek(data + begin)
            left = end - begin
            while left:
                block = file.read(min(left, 1 << 20))
                left -= len(block)
                digest.update(block)
    return digest.hexdigest()


def _places(path: Path, header: dict[str, Any], size: int) -> dict[str, tuple[int, int]]:
    """Begin and end of each tensor. Together they are all of the data: no byte may stand outside of the digest."""
    places: dict[str, tuple[int, int]] = {}
    for name, entry in header.items():
        known = isinstance(entry, dict) and {"dtype", "shape", "data_offsets"} <= entry.keys()
        offsets = entry["data_offsets"] if known else None
        if not (isinstance(offsets, list) and [type(n) for n in offsets] == [int, int]):
            raise StoreError(f"{path} is not a safetensors file: {name!r} has no place in it")
        begin, end = offsets
        if not 0 <= begin <= end <= size:
            raise StoreError(f"{path} is cut short: tensor {name!r} lies outside of it")
        places[name] = (begin, end)
    covered = 0
    for begin, end in sorted(places.values()):
        if begin != covered:
            break
        covered = end
    if covered != size:
        raise StoreError(f"{path} is not a safetensors file: it has bytes that belong to no tensor, or to two")
    return places


def _json_digest(path: Path) -> str:
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise StoreError(f"{path} is not valid JSON: {error}") from None
    if path.name == "adapter_config.json":
        if not isinstance(value, dict):
            raise StoreError(f"{path} does not hold a JSON object")
        if isinstance(value.get("target_modules"), list):
            value["target_modules"] = sorted(value["target_modules"], key=str)  # a set, for PEFT
    return hashlib.sha256(json.dumps(value, sort_keys=True, separators=(",", ":")).encode()).hexdigest()
