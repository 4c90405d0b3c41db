"""Amounts as people write and read them: memory, parameters, tokens."""

from __future__ import annotations

import re

from graftlm.contracts.errors import UsageError

UNITS = {
    "b": 1, "kb": 10**3, "mb": 10**6, "gb": 10**9, "tb": 10**12,
    "kib": 2**10, "mib": 2**20, "gib": 2**30, "tib": 2**40,
}  # fmt: skip
AMOUNT = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([kmgt]i?b|b)\s*", re.ASCII | re.IGNORECASE)


def memory(flag: str, written: str) -> int:
    """Bytes from ``16GB``, ``24GiB`` or ``8192MB``; ``UsageError`` names the flag where it is something else."""
    found = AMOUNT.fullmatch(written)
    if found is None:
        raise UsageError(f"{flag} '{written}' is no amount of memory: give a number and a unit, as in 16GB or 24GiB")
    amount = int(float(found[1]) * UNITS[found[2].lower()])
    if amount < 1:
        raise UsageError(f"{flag} '{written}' is no memory at all: give more, as in 16GB or 24GiB")
    return amount


def parameters(count: int) -> str:
    """``923K``, ``494M``, ``7.62B``."""
    for unit, each in (("B", 10**9), ("M", 10**6), ("K", 10**3)):
        if count >= each:
            number = count / each
            digits = 2 if number < 9.995 else 1 if number < 99.95 else 0
            return f"{number:.{digits}f}{unit}"
    return str(count)


def tokens(count: int) -> str:
    """``32K`` for 32,768."""
    return f"{count // 1024}K" if count and count % 1024 == 0 else f"{count:,}"
