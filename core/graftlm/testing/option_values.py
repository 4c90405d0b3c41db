"""Other values of an option than its default."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any

from graftlm.contracts.spec import Option


def another(option: Option) -> Any:
    """A value that is not the default and that the option allows; None where none can be guessed."""
    default: Any = option.default
    if option.type == "bool":
        return not default
    if option.choices:
        return next((choice for choice in option.choices if choice != default), None)
    if option.type not in ("float", "int") or default is None:
        return None
    return next((value for value in _near(default, option) if value != default and _allowed(value, option)), None)


def _near(default: float, option: Option) -> Iterator[float]:
    ends = [end for end in (option.minimum, option.maximum) if end is not None]
    whole: Callable[[float], float] = int if option.type == "int" else float
    found = [default / 2, 2 * default, *ends, *(sum(pair) / 2 for pair in pairwise(ends)), 1.0]
    return map(whole, found)


def _allowed(value: float, option: Option) -> bool:
    return (option.minimum is None or value >= option.minimum) and (option.maximum is None or value <= option.maximum)
