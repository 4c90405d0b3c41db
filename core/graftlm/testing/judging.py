"""A suite's checks without pytest, one after the other, each with what became of it."""

from __future__ import annotations

import re
import traceback
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Literal
from unittest import SkipTest

from .gaps import KnownGap
from .suite import Suite

State = Literal["passed", "failed", "gap", "not asked"]


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of one check. ``check`` is the name of its method; ``reason`` is empty where it passed."""

    check: str
    state: State
    reason: str
    optional: bool
    seconds: float


def checks(suite: type[Suite]) -> tuple[str, ...]:
    """The names of a suite's checks, those of all suites first, then as they are written."""
    order: dict[str, None] = {}
    for base in reversed(suite.__mro__):
        order.update(dict.fromkeys(name for name in vars(base) if name.startswith("test_")))
    return tuple(name for name in order if callable(getattr(suite, name)))


def words_of(check: str) -> str:
    """The name of a check as a sentence has it: ``test_it_is_a_base_s_own`` is "it is a base's own"."""
    return re.sub(r"_s(?=_|$)", "'s", check.removeprefix("test_")).replace("_", " ")


def judge(suite: type[Suite], only: Sequence[str] = ()) -> Iterator[Verdict]:
    """Runs the checks, or ``only`` those of these names."""
    if hasattr(suite, "setup_class"):
        suite.setup_class()
    try:
        for name in only or checks(suite):
            yield _verdict(suite, name)
    finally:
        if hasattr(suite, "teardown_class"):
            suite.teardown_class()


def _verdict(suite: type[Suite], name: str) -> Verdict:
    began, reason = perf_counter(), ""
    state: State = "passed"
    judged = suite()
    try:
        judged.setup_method()
        getattr(judged, name)()
    except SkipTest as skipped:
        state, reason = "gap" if isinstance(skipped, KnownGap) else "not asked", str(skipped)
    except Exception as error:  # noqa: BLE001 - whatever a plugin raises is what became of the check
        state, reason = "failed", _why(error)
    finally:
        judged.teardown_method()
    optional = getattr(getattr(suite, name), "optional", False)
    return Verdict(name, state, reason, optional, perf_counter() - began)


def _why(error: Exception) -> str:
    """The sentence of a check, or the error and where it came from."""
    said = str(error).strip()
    if isinstance(error, AssertionError) and said:
        return said.split("\nassert ")[0]  # what pytest adds, where it is there
    place = traceback.extract_tb(error.__traceback__)[-1]
    where = f"{Path(place.filename).name}:{place.lineno}"
    if isinstance(error, AssertionError):
        return f"{place.line} ({where})"
    return f"{type(error).__name__}: {said} ({where})"
