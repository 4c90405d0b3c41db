"""What every contribution of a plugin has in common."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

OptionType = Literal["int", "float", "str", "path", "bool", "list", "ints", "mapping"]
OptionValue = int | float | str | bool | tuple[str, ...] | tuple[int, ...] | Mapping[str, Any] | None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Option:
    """A setting of a plugin, given as ``--set KIND.NAME=VALUE`` or in YAML.

    ``minimum`` and ``maximum`` are inclusive. A ``list`` (of texts) and ``ints`` are written with commas, a ``mapping``
    from text to a number or a text as JSON or as ``a=1,b=2``. A ``path`` is made absolute: a run may be gone on with
    elsewhere.
    """

    name: str
    type: OptionType
    default: OptionValue
    help: str
    choices: tuple[str, ...] = ()
    minimum: float | None = None
    maximum: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Requirement:
    """Something that must be there when a plugin is selected; data until then.

    ``minimum`` (inclusive) and ``below`` (exclusive) are releases such as ``0.21``. ``extra`` is the extra of graftlm
    that installs it, ``flags`` are what pip needs to install it alone.
    ``device`` is a torch device type that the probe must have seen, with at least ``compute_capability`` there.
    """

    distribution: str = ""
    minimum: str = ""
    below: str = ""
    extra: str = ""
    flags: str = ""
    device: str = ""
    compute_capability: tuple[int, int] | None = None

    @property
    def range(self) -> str:
        """As pip writes it: ``>=0.21,<0.22``."""
        least, most = self.minimum and f">={self.minimum}", self.below and f"<{self.below}"
        return ",".join(part for part in (least, most) if part)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class Spec:
    """A contribution. ``name`` is the value of the flag that selects it, ``aliases`` are others for it;
    ``summary`` is one line. ``requires`` and ``options`` are looked at when it is selected.

    ``unavailable`` says why it cannot be chosen, whatever is installed: it is known so that who asks for it is told.
    ``suite`` is the target of the class that judges it (see ``graftlm.testing``), for ``graftlm plugins check``.
    """

    kind: ClassVar[str] = ""

    name: str
    summary: str
    aliases: tuple[str, ...] = ()
    requires: tuple[Requirement, ...] = ()
    options: tuple[Option, ...] = ()
    unavailable: str = ""
    suite: str = ""

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.name!r})"
