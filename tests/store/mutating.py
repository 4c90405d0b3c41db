"""Files whose bytes are changed by lot: a bit, a byte, a block, the end."""

from __future__ import annotations

import random
from pathlib import Path


def bit(data: bytearray, draw: random.Random) -> None:
    data[draw.randrange(len(data))] ^= 1 << draw.randrange(8)


def byte(data: bytearray, draw: random.Random) -> None:
    data[draw.randrange(len(data))] = draw.randrange(256)


def truncated(data: bytearray, draw: random.Random) -> None:
    del data[draw.randrange(len(data)) :]


def extended(data: bytearray, draw: random.Random) -> None:
    data += draw.choice((b"\n", b" ", b"\0", b"}", draw.randbytes(draw.randint(1, 64))))


def swapped(data: bytearray, draw: random.Random) -> None:
    """Two blocks of a size."""
    size = draw.randint(1, max(len(data) // 4, 1))
    one, other = draw.randrange(len(data) - size + 1), draw.randrange(len(data) - size + 1)
    if abs(one - other) >= size:
        data[one : one + size], data[other : other + size] = data[other : other + size], data[one : one + size]


def zeroed(data: bytearray, draw: random.Random) -> None:
    """As a file system may leave a block after a crash."""
    begin = draw.randrange(len(data))
    end = min(begin + draw.randint(1, 512), len(data))
    data[begin:end] = bytes(end - begin)


KINDS = (bit, byte, truncated, extended, swapped, zeroed)


def mutated(path: Path, draw: random.Random) -> tuple[str, bytes] | None:
    """Change a file: how, and its bytes before; None where the lot changed nothing."""
    before = path.read_bytes()
    data, kind = bytearray(before), draw.choice(KINDS)
    if data or kind is extended:
        kind(data, draw)
    if bytes(data) == before:
        return None
    path.write_bytes(data)
    return kind.__name__, before
