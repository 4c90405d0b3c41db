"""Reading packed bytes as a stream that cannot be a bomb: block by block, with a cap on what comes out of what."""

from __future__ import annotations

import lzma
import zlib
from collections.abc import Iterator
from typing import BinaryIO, Protocol

from graftlm.contracts.errors import StoreError

from .collecting import LARGEST_WEIGHTS, RATIO, UNSUSPECTED, Zeros

BLOCK = 1 << 18
XZ_MEMORY = 128 << 20


class Unpacker(Protocol):
    """What ``bz2`` and ``lzma`` have: ``zlib``'s differs a little."""

    @property
    def eof(self) -> bool: ...

    @property
    def needs_input(self) -> bool: ...

    @property
    def unused_data(self) -> bytes: ...

    def decompress(self, data: bytes, max_length: int) -> bytes: ...


class Deflate:
    """``zlib`` as an ``Unpacker``."""

    def __init__(self, bits: int) -> None:
        self._made = zlib.decompressobj(bits)

    @property
    def eof(self) -> bool:
        return self._made.eof

    @property
    def needs_input(self) -> bool:
        return not self._made.unconsumed_tail

    @property
    def unused_data(self) -> bytes:
        return self._made.unused_data

    def decompress(self, data: bytes, max_length: int) -> bytes:
        return self._made.decompress(self._made.unconsumed_tail + data, max_length)


class Plain:
    """Bytes that are not packed."""

    eof, needs_input, unused_data = False, True, b""

    def __init__(self) -> None:
        self._zeros = Zeros()

    def decompress(self, data: bytes, max_length: int) -> bytes:
        return self._zeros.see(data)


def gzip() -> Unpacker:
    return Deflate(31)


def xz() -> Unpacker:
    return lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=XZ_MEMORY)


class Stream:
    """Unpacked bytes of ``file``, of which no more than ``packed`` bytes are read."""

    def __init__(self, file: BinaryIO, unpacker: Unpacker, packed: int) -> None:
        self._file, self._unpacker, self._left = file, unpacker, packed
        self._kept = b""
        self.read_in, self.given_out = 0, 0

    def exactly(self, size: int) -> bytes:
        """``size`` bytes; ``StoreError`` where there are fewer."""
        found = b"".join(self.blocks(size))
        if len(found) != size:
            raise StoreError("it is cut short")
        return found

    def blocks(self, size: int) -> Iterator[bytes]:
        """Up to ``size`` bytes, in blocks."""
        while size:
            if not self._kept:
                self._kept = self._more()
            if not self._kept:
                return
            block, self._kept = self._kept[:size], self._kept[size:]
            size -= len(block)
            yield block

    def ended(self) -> bool:
        """Whether the packing says itself that this is its end, and nothing is behind it."""
        return self._unpacker.eof and not self._left and not self._unpacker.unused_data

    def _more(self) -> bytes:
        """The next block that is not empty; an empty one is the end."""
        while not self._unpacker.eof:
            block = b""
            if self._unpacker.needs_input:
                block = self._file.read(min(BLOCK, self._left))
                self._left -= len(block)
                self.read_in += len(block)
            dry = not block and self._unpacker.needs_input
            try:
                made = self._unpacker.decompress(block, BLOCK)
            except (zlib.error, lzma.LZMAError, EOFError):
                raise StoreError("its packing is damaged, or needs too much memory") from None
            self.given_out += len(made)
            self._check()
            if made or dry:
                return made
        return b""

    def _check(self) -> None:
        if self.given_out > max(UNSUSPECTED, RATIO * self.read_in):
            raise StoreError(f"it unpacks to more than {RATIO} times its own size, as no adapter does")
        if self.given_out > LARGEST_WEIGHTS:
            raise StoreError(f"it unpacks to more than {LARGEST_WEIGHTS:,} bytes")
