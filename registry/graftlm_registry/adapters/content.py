"""Digests of what an adapter is, whichever process wrote it.

PEFT's own files differ from process to process (set order, metadata order), so tensors and configuration are digested
in canonical form.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from graftlm.contracts.errors import StoreError

from .outside.safetensors_file import read_file_header

MANIFEST = "manifest.json"
"""The store's own list of a folder's files, no part of what they are."""


def content_files(folder: Path) -> list[Path]:
    """The files of a flat folder, by name, without the store's manifest."""
    return sorted(path for path in folder.iterdir() if path.name != MANIFEST)


def content_digest(folder: Path) -> str:
    """SHA-256 over the files of a flat folder: safetensors by tensor, JSON by value. Anything else is refused."""
    whole = hashlib.sha256()
    for path in content_files(folder):
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


def tensors_digest(path: Path) -> str:
    """SHA-256 over names, dtypes, shapes and bytes of the tensors, by name."""
    header = read_file_header(path)
    digest = hashlib.sha256()
    with path.open("rb") as file:
        for name, tensor in sorted(header.tensors.items()):
            digest.update(json.dumps([name, tensor.dtype, tensor.shape]).encode())
            file.seek(header.data + tensor.begin)
            left = tensor.end - tensor.begin
            while left:
                block = file.read(min(left, 1 << 20))
                if not block:
                    raise StoreError(f"{path} was cut short while it was read")
                left -= len(block)
                digest.update(block)
    return digest.hexdigest()


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
