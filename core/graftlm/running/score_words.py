"""A score, and a change of one, as people read them."""

from __future__ import annotations

from graftlm.contracts.outcome import Change, Score

QUIET = ("taught-answers",)
"""Metrics that are shown where they are not 0: a side effect that did not show is no news."""


def value(score: Score) -> str:
    return number(score.value, score.unit)


def number(value: float, unit: str) -> str:
    return f"{value:.0%}" if unit == "fraction" else f"{value:.3g}"


def with_interval(score: Score) -> str:
    """``85% (71–93)``; the value alone where there is no interval."""
    if score.low is None or score.high is None:
        return value(score)
    if score.unit == "fraction":
        return f"{value(score)} ({100 * score.low:.0f}–{100 * score.high:.0f})"
    return f"{value(score)} ({score.low:.3g}–{score.high:.3g})"


def change_words(change: Change) -> str:
    """``−42 (−55 to −30)`` percentage points, or in the metric's unit; the change alone where there is no interval."""
    scale = 100 if change.unit == "fraction" else 1
    numbers = [scale * each for each in (change.value, change.low, change.high) if each is not None]
    said = [_signed(number, change.unit) for number in numbers]
    return f"{said[0]} ({said[1]} to {said[2]})" if len(said) == 3 else said[0]


def _signed(number: float, unit: str) -> str:
    shown = f"{abs(number):.0f}" if unit == "fraction" else f"{abs(number):.3g}"
    return shown if float(shown) == 0 else f"{'+' if number > 0 else '−'}{shown}"
