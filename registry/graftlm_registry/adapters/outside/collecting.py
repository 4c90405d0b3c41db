"""What is taken out of a folder or an archive, and what is left aside. The caps are the same for both."""

from __future__ import annotations

import os
import shutil
import unicodedata
from collections.abc import Iterator
from pathlib import Path

from graftlm.contracts.errors import StoreError

from .safetensors_file import shortened
from .strict_json import LARGEST

CONFIG, WEIGHTS, RECORD = "adapter_config.json", "adapter_model.safetensors", "graftlm.json"
TEMPLATE, TOKENIZER = "chat_template.jinja", "tokenizer_config.json"
SMALL = {CONFIG: LARGEST, RECORD: LARGEST, TEMPLATE: 1 << 20, TOKENIZER: LARGEST}
"""Files that are read whole, by the most bytes that they may have."""
LISTED = (*SMALL, WEIGHTS)
LARGEST_WEIGHTS = 64 << 30
MOST_FILES = 10_000
RATIO, UNSUSPECTED = 20, 32 << 20
"""How many times its own size something may unpack to, once it is larger than the second figure."""
PICKLES = (".bin", ".pt", ".pth", ".pkl", ".pickle", ".ckpt")
CONVERT = (
    "which can run code when it is loaded, and graftlm never opens one; load it where you trust it and save it again "
    "with PEFT's save_pretrained, which writes adapter_model.safetensors"
)


class Zeros:
    """Watches bytes go by, so that no hole in a file makes work without end: file systems cannot be asked for holes."""

    def __init__(self) -> None:
        self._zeros, self._all = 0, 0

    def see(self, block: bytes) -> bytes:
        """The block itself; ``StoreError`` where nearly all that went by is zeros."""
        self._all += len(block)
        if not block.strip(b"\0"):
            self._zeros += len(block)
            if self._zeros > UNSUSPECTED and self._zeros > (1 - 1 / RATIO) * self._all:
                raise StoreError("it holds almost nothing but zeros, as no adapter does")
        return block


class Collected:
    """The files that were taken: small ones in ``files``, the weights in the folder ``staged``."""

    def __init__(self, staged: Path) -> None:
        self.weights = staged / WEIGHTS
        self.files: dict[str, bytes] = {}
        self.left: list[str] = []
        self._seen: set[str] = set()

    def note(self, name: str) -> None:
        """Count a file; two whose names some file systems take for one are refused."""
        if len(self._seen) >= MOST_FILES:
            raise StoreError(f"it holds more than {MOST_FILES:,} files, and an adapter has a handful")
        alike = unicodedata.normalize("NFKC", name).casefold()
        if alike in self._seen:
            raise StoreError(f"it holds {shortened(name)} twice, or two names that differ by their case alone")
        self._seen.add(alike)

    def take(self, name: str, size: int, blocks: Iterator[bytes]) -> None:
        """One of the listed files, which has ``size`` bytes."""
        if name == WEIGHTS:
            self._write(size, blocks)
            return
        if size > SMALL[name]:
            raise StoreError(f"{name} has {size:,} bytes, and graftlm reads {SMALL[name]:,} at the most")
        self.files[name] = b"".join(blocks)
        _check_size(name, len(self.files[name]), size)

    def _write(self, size: int, blocks: Iterator[bytes]) -> None:
        if size > LARGEST_WEIGHTS:
            raise StoreError(f"{WEIGHTS} has {size:,} bytes, and graftlm takes {LARGEST_WEIGHTS:,} at the most")
        if shutil.disk_usage(self.weights.parent).free < size:
            raise StoreError(f"{WEIGHTS} has {size:,} bytes, and the disk has no room for them")
        written = 0
        descriptor = os.open(self.weights, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644)
        with os.fdopen(descriptor, "wb") as file:
            for block in blocks:
                written += len(block)
                if written > size:
                    break
                file.write(block)
        _check_size(WEIGHTS, written, size)


def _check_size(name: str, found: int, said: int) -> None:
    if found != said:
        raise StoreError(f"{name} has another size than it should: it is cut short, or changed while it was read")


def check_complete(collected: Collected, names: list[str]) -> None:
    """Both files of an adapter are there, or a sentence that says what to do. ``names`` are all files' names."""
    pickle = next((name for name in sorted(names) if name.lower().endswith(PICKLES)), None)
    if not collected.weights.exists():
        if pickle:
            raise StoreError(f"it holds no {WEIGHTS} but {shortened(pickle)}, a pickle, {CONVERT}")
        raise StoreError(f"it holds no {WEIGHTS}: it is not an adapter as PEFT's save_pretrained writes one")
    if CONFIG not in collected.files:
        raise StoreError(f"it holds no {CONFIG}: it is not an adapter as PEFT's save_pretrained writes one")
