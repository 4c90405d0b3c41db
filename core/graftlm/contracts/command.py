"""What the hook of commands returns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from .spec import Spec


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class Command(Spec):
    """A command of the CLI: ``target`` resolves to a click command when it is called. ``group`` is the noun that it
    stands under (``config``), or empty for a command of its own.
    """

    kind: ClassVar[str] = "command"
    target: str
    group: str = ""
