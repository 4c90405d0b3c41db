"""Scores and prompts in words."""

from __future__ import annotations

from graftlm.contracts.outcome import Score

from .variants import Variant


def shown(value: float, score: Score) -> str:
    """A number in the unit of a score."""
    return f"{value:.0%}" if score.unit == "fraction" else f"{value:.3g}"


def scored(score: Score) -> str:
    """``85% (71–93)``: the value with its 95% interval, where there is one."""
    if score.low is None or score.high is None:
        return shown(score.value, score)
    if score.unit == "fraction":
        return f"{shown(score.value, score)} ({100 * score.low:.0f}–{100 * score.high:.0f})"
    return f"{shown(score.value, score)} ({score.low:.3g}–{score.high:.3g})"


def counted(count: int, thing: str) -> str:
    return f"1 {thing}" if count == 1 else f"{count:,} {thing}s"


def described(variant: Variant) -> str:
    """A prompt, as one says it."""
    if variant.kind == "zero-shot":
        return "the bare question"
    if variant.kind == "chain-of-thought":
        return "thinking step by step"
    if variant.kind == "thinking":
        return "the thinking mode"
    each = f" ({variant.each} of each class)" if variant.each else ""
    return f"{variant.count} {variant.choice} {'example' if variant.count == 1 else 'examples'}{each}"
