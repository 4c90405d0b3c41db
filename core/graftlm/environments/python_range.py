"""Is a release of Python in a range such as ``>=3.11,<3.14``?"""

from __future__ import annotations

import re
from collections.abc import Callable
from operator import ge, gt, le, lt

COMPARED: dict[str, Callable[[tuple[int, ...], tuple[int, ...]], bool]] = {">=": ge, "<=": le, "<": lt, ">": gt}


def within(version: str, wanted: str) -> bool:
    """``ValueError`` where the range is no comma-separated list of comparisons."""
    found = _release(version)
    for part in filter(None, (part.strip() for part in wanted.split(","))):
        match = re.fullmatch(r"(>=|<=|<|>)\s*(\d+(?:\.\d+)*)", part)
        if match is None:
            raise ValueError(f"'{part}' is no comparison of releases, such as >=3.11")
        if not COMPARED[match[1]](found, _release(match[2])):
            return False
    return True


def _release(version: str) -> tuple[int, ...]:
    numbers = re.match(r"\d+(\.\d+)*", version)
    return tuple(int(part) for part in numbers.group().split(".")) if numbers else ()
