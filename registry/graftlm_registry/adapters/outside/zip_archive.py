"""A zip archive, read strictly by its directory: stored or deflated members, each at a place of its own."""

from __future__ import annotations

import os
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from graftlm.contracts.errors import StoreError

from .collecting import MOST_FILES
from .packed import Deflate, Plain, Stream
from .safetensors_file import shortened

END, ENTRY, LOCAL = struct.Struct("<4s4H2LH"), struct.Struct("<4s6H3L5H2L"), struct.Struct("<4s5H3L2H")
LARGEST_DIRECTORY = 4 << 20
STORED, DEFLATED, ENCRYPTED = 0, 8, 0x2041
KIND, REGULAR, FOLDER = 0o170000, 0o100000, 0o040000


@dataclass(frozen=True)
class Member:
    """A file, or a folder (its name ends with a slash)."""

    name: str
    size: int
    packed: int
    method: int
    flags: int
    checksum: int
    at: int


def members(file: BinaryIO, size: int) -> list[Member]:
    """What the directory says, in the order of the places; ``StoreError`` where two lie over each other."""
    tail = min(size, END.size + 0xFFFF)
    file.seek(size - tail)
    end = file.read(tail)
    found = end.rfind(b"PK\5\6")
    if found < 0 or len(end) - found < END.size:
        raise StoreError("it is not a zip archive, or is cut short")
    _, disk, first, here, count, length, start, note = END.unpack_from(end, found)
    at = size - tail + found
    if 0xFFFF in (here, count) or 0xFFFFFFFF in (length, start):
        raise StoreError("it is a zip archive of more than 4 GB: unpack it yourself, and import the folder")
    if disk or first or here != count or note != len(end) - found - END.size or start + length != at:
        raise StoreError("it is not a zip archive, or has something in front of it or behind it")
    if length > LARGEST_DIRECTORY or count > MOST_FILES:
        raise StoreError("it is a zip archive with far more files than an adapter has")
    file.seek(start)
    listed = sorted(_entries(file.read(length), count), key=lambda member: member.at)
    behind = [*(member.at for member in listed[1:]), start]
    if any(m.at + LOCAL.size + len(m.name) + m.packed > after for m, after in zip(listed, behind, strict=False)):
        raise StoreError("it is a zip archive whose files lie over one another")
    return listed


def _entries(directory: bytes, count: int) -> Iterator[Member]:
    at = 0
    for _ in range(count):
        if len(directory) - at < ENTRY.size:
            raise StoreError("it is not a zip archive, or is damaged")
        entry = ENTRY.unpack_from(directory, at)
        sign, made_by, _, flags, method, _, _, checksum, packed, size = entry[:10]
        named, extra, note, disk, _, mode, place = entry[10:]
        name = directory[at + ENTRY.size : at + ENTRY.size + named]
        at += ENTRY.size + named + extra + note
        if sign != b"PK\1\2" or disk or at > len(directory):
            raise StoreError("it is not a zip archive, or is damaged")
        if 0xFFFFFFFF in (packed, size, place):
            raise StoreError("it is a zip archive of more than 4 GB: unpack it yourself, and import the folder")
        if flags & ENCRYPTED:
            raise StoreError("it is encrypted: unpack it yourself, and import the folder")
        if method not in (STORED, DEFLATED):
            raise StoreError("it is packed in another way than zip's usual one: unpack it yourself")
        try:
            text = name.decode()
        except UnicodeDecodeError:
            raise StoreError("it holds a name that is not UTF-8") from None
        if made_by >> 8 == 3 and (mode >> 16) & KIND not in (0, REGULAR, FOLDER):
            raise StoreError(f"it holds {shortened(text)}, which is neither a file nor a folder")
        yield Member(text, size, packed, method, flags, checksum, place)
    if at != len(directory):
        raise StoreError("it is not a zip archive, or is damaged")


def blocks(file: BinaryIO, member: Member) -> Iterator[bytes]:
    """A member's bytes. What stands before them must say the same as the directory."""
    file.seek(member.at)
    start = file.read(LOCAL.size)
    if len(start) != LOCAL.size:
        raise StoreError("it is a zip archive that is cut short")
    sign, _, flags, method, _, _, _, _, _, named, extra = LOCAL.unpack(start)
    if sign != b"PK\3\4" or method != member.method or flags & ENCRYPTED or file.read(named) != member.name.encode():
        raise StoreError("it is a zip archive whose directory says other things than its files")
    file.seek(extra, os.SEEK_CUR)
    stream = Stream(file, Deflate(-15) if method == DEFLATED else Plain(), member.packed)
    checksum = 0
    for block in stream.blocks(member.size + 1):
        checksum = zlib.crc32(block, checksum)
        yield block
    if checksum != member.checksum:
        raise StoreError("it is a zip archive that is damaged: a checksum is wrong")
