"""A suite: what is compared, how often, and against what."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from graftlm.contracts.errors import UsageError
from graftlm.contracts.serial import digest

Choice = Mapping[str, Any]
"""Settings by the names of ``RunConfig``."""
LABEL = "label"
"""Key of an included cell that names it."""
ACROSS = ("data", "model")
"""Settings by which work differs: a baseline has the same."""
HOW = ("backend", "accelerator", "micro_batch", "gradient_checkpointing")
"""Settings that change how something is computed, and not what."""
NOT_SET = {
    "name": "it names its runs itself",
    "out": "it names its runs itself",
    "track": "its report holds the figures of its runs",
}
"""Settings of a single run, each with why a comparison takes none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Suite:
    """``base`` are the settings of every cell; ``matrix`` those that vary, each with its values, the last one fastest.
    ``exclude`` leaves out cells that have all of these settings; ``include`` adds cells, beside ``base``. ``baseline``
    are the settings in which a cell's baseline differs from it. ``sweeps`` are the settings of the matrix along which
    the work grows. ``warmup`` are steps of each run that are not measured. ``tolerance`` replaces limits of the parity
    gate; ``answers`` is the number of prompts whose greedy answers it compares.

    ``judges``: what was learned is compared, and what it cost; cells train to their end, are scored as ``train`` does,
    and their adapters are kept. ``weights`` say what is the best.
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
    judges: bool = False
    weights: Mapping[str, float] = field(default_factory=dict)


def suite(
    *, title: str, base: Choice, matrix: Mapping[str, Sequence[Any]], baseline: Choice | None = None, **more: Any
) -> Suite:
    """Where no baseline is named, it has the first value of each setting that says how the same is computed; where none
    of them varies, the first value of what varies else, but the data, the model and what is swept. A setting with one
    value is no part of the matrix.
    """
    several = {key: tuple({digest(value): value for value in values}.values()) for key, values in matrix.items()}
    for key, why in NOT_SET.items():
        if key in several or any(key in choice for choice in (base, *more.get("include", ()))):
            raise UsageError(f"'{key}' is not for a comparison: {why}")
    single = {key: values[0] for key, values in several.items() if len(values) == 1}
    varying = {key: several[key] for key in sorted(several, key=lambda key: key not in ACROSS) if key not in single}
    sweeps = tuple(key for key in more.pop("sweeps", ()) if key in varying)
    fixed = {key: value for key, value in base.items() if key not in varying}
    if baseline is None:
        free = {key: values[0] for key, values in varying.items() if key not in (*ACROSS, *sweeps)}
        baseline = {key: value for key, value in free.items() if key in HOW} or dict(list(free.items())[:1])
        if not baseline and more.get("include"):
            baseline = {key: fixed.get(key) for choice in more["include"] for key in choice if key != LABEL}
    return Suite(title=title, base={**fixed, **single}, matrix=varying, baseline=baseline, sweeps=sweeps, **more)


def growing(what: str, values: Sequence[Any]) -> tuple[Any, ...]:
    """Numbers in the order of their size."""
    numbers = {value for value in values if isinstance(value, int | float) and not isinstance(value, bool)}
    if len(numbers) < max(2, len({digest(value) for value in values})) or not all(n > 0 for n in numbers):
        raise UsageError(f"{what} needs at least two numbers, all above 0")
    return tuple(sorted(numbers))
