"""A tar archive, read strictly: headers of regular files and folders, each bounded; anything else is refused."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from graftlm.contracts.errors import StoreError

from .packed import Stream
from .safetensors_file import shortened

SIZE = 512
LARGEST_NOTE, LARGEST_PADDING = 1 << 16, 1 << 20
FILE, FOLDER, NOTES = (b"0", b"\0"), b"5", (b"x", b"g")
TOLD = ("path", "linkpath", "size", "GNU.sparse", "hdrcharset")
"""What a note would say otherwise than the header behind it."""


@dataclass(frozen=True)
class Member:
    """A file or a folder (``size`` None) in an archive."""

    name: str
    size: int | None


def members(stream: Stream) -> Iterator[Member]:
    """Each member. Of a file, the reader takes its bytes (``size`` of them, whole) before it asks for the next."""
    while True:
        header = stream.exactly(SIZE)
        if not header.strip(b"\0"):
            break
        size, kind = _number(header[124:136]), header[156:157]
        _check_sum(header)
        if kind in NOTES:
            _check_note(stream, size)
        elif kind in FILE:
            name = _name(header)
            yield Member(name, size)
            stream.exactly(-size % SIZE)
        elif kind == FOLDER and not size:
            yield Member(_name(header), None)
        elif kind in b"LK":
            raise StoreError("it holds a name of more than 100 characters: unpack it yourself, and import the folder")
        else:
            raise StoreError(f"it holds {shortened(_name(header))}, which is neither a file nor a folder")
    padding = b"".join(stream.blocks(LARGEST_PADDING + 1))
    if len(padding) > LARGEST_PADDING or padding.strip(b"\0"):
        raise StoreError("it has something behind its end")


def _name(header: bytes) -> str:
    before = header[345:500].rstrip(b"\0") if header[257:263] == b"ustar\0" else b""
    name = header[:100].partition(b"\0")[0]
    try:
        return (before + b"/" + name if before else name).decode()
    except UnicodeDecodeError:
        raise StoreError("it holds a name that is not UTF-8") from None


def _number(field: bytes) -> int:
    text = field.strip(b" \0")
    if len(text) > 11 or any(digit not in b"01234567" for digit in text):
        raise StoreError("it is not a tar archive, or holds a file of more than 8 GB: unpack it yourself")
    return int(text or b"0", 8)


def _check_sum(header: bytes) -> None:
    if _number(header[148:156]) != sum(header[:148]) + sum(b" " * 8) + sum(header[156:]):
        raise StoreError("it is not a tar archive, or is damaged")


def _check_note(stream: Stream, size: int) -> None:
    """A note of times and owners, which nothing here uses. One on names or sizes would make another archive of it."""
    if size > LARGEST_NOTE:
        raise StoreError("it holds a note on a file that is too long")
    note = stream.exactly(size)
    stream.exactly(-size % SIZE)
    while note:
        length, _, rest = note.partition(b" ")
        if not (length.isdigit() and len(length) < 6 and len(length) + 2 < int(length) <= len(note)):
            raise StoreError("it is not a tar archive, or is damaged")
        key = rest.partition(b"=")[0].decode("latin-1")
        if key.startswith(TOLD):
            raise StoreError(
                f"it says the {shortened(key)} of a file in a note: unpack it yourself, and import the folder"
            )
        note = note[int(length) :]
