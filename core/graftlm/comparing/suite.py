"""A suite: what is compared, how often, and against what."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

Choice = Mapping[str, Any]
"""Settings by the names of ``RunConfig``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Suite:
    """``base`` are the settings of every cell; ``matrix`` those that vary, each with its values, the last one fastest.
    ``exclude`` leaves out cells that have all of these settings; ``include`` adds cells, beside ``base``. ``baseline``
    are the settings in which a cell's baseline differs from it. ``sweeps`` are the settings of the matrix along which
    the work grows. ``warmup`` are steps of each run that are not measured. ``tolerance`` replaces limits of the parity
    gate; ``answers`` is the number of prompts whose greedy answers it compares.
    """

    title: str
    base: Choice
    matrix: Mapping[str, tuple[Any, ...]]
    exclude: tuple[Choice, ...] = ()
    include: tuple[Choice, ...] = ()
    baseline: Choice = field(default_factory=dict)
    sweeps: tuple[str, ...] = ()
    repeat: int = 5
    warmup: int = 3
    tolerance: Mapping[str, float] = field(default_factory=dict)
    answers: int = 8
