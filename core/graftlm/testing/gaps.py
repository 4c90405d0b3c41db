"""What is not asked of a plugin: what it does not claim, and gaps that are known."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from typing import Any, Literal, TypeVar
from unittest import SkipTest

GapKind = Literal["never", "not yet", "not implemented"]
Check = TypeVar("Check", bound=Callable[..., None])


@dataclass(frozen=True, slots=True)
class Gap:
    """Something that a plugin does not do, and is known not to. ``kind``: it ``never`` can, it does ``not yet``, or it
    is ``not implemented`` and nobody has looked into it. ``reason`` is a sentence for who reads the report.
    """

    kind: GapKind
    reason: str


class KnownGap(SkipTest):
    """A check that a plugin is known not to pass."""


def optional(check: Check) -> Check:
    """Marks a check of what a plugin need not have: it is asked of those that say they do."""
    check.optional = True  # type: ignore[attr-defined]
    return check


def skip_unless(condition: object, reason: str) -> None:
    """Leaves a check that is not asked of this plugin."""
    if not condition:
        raise SkipTest(reason)


def strict(check: Callable[..., None], gap: Gap) -> Callable[..., None]:
    @wraps(check)
    def known(self: Any, *arguments: Any, **named: Any) -> None:
        try:
            check(self, *arguments, **named)
        except SkipTest:
            raise
        except Exception as error:
            raise KnownGap(f"known gap ({gap.kind}): {gap.reason}") from error
        raise AssertionError(
            f"it is said to be a gap ({gap.kind}: {gap.reason}), and it works: take it out of known_gaps"
        )

    known._plain = check  # type: ignore[attr-defined]
    return known
