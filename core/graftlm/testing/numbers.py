"""Figures that are as good as equal."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any


def near(found: Any, wanted: Any, *, rel: float = 0.0, abs: float = 0.0) -> bool:
    """Whether numbers, or sequences or mappings of them, are equal within a relative or an absolute error, and have the
    same length or keys.
    """
    if isinstance(wanted, Mapping):
        return found.keys() == wanted.keys() and all(near(found[key], wanted[key], rel=rel, abs=abs) for key in wanted)
    if isinstance(wanted, Sequence):
        return len(found) == len(wanted) and all(map(lambda f, w: near(f, w, rel=rel, abs=abs), found, wanted))
    return math.isclose(found, wanted, rel_tol=rel, abs_tol=abs)


def furthest(found: Sequence[float], wanted: Sequence[float]) -> str:
    """Where two sequences of one length are furthest apart, as words: ``0.3 at step 4 (1.2, not 0.9)``."""
    if len(found) != len(wanted):
        return f"{len(found)} figures, not {len(wanted)}"
    apart, at = max((abs(one - other), i) for i, (one, other) in enumerate(zip(found, wanted, strict=True)))
    return f"{apart:.2g} at step {at + 1} ({found[at]:.6g}, not {wanted[at]:.6g})"
