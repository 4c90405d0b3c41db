"""The cells of a suite: what each is, by its settings, and what it is called."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from graftlm.contracts.errors import UsageError
from graftlm.contracts.serial import digest

from .suite import LABEL, Choice, Suite


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """``settings`` are all that were asked; ``shown`` those that tell it from the others, as words by flag name."""

    name: str
    settings: Mapping[str, Any]
    shown: Mapping[str, str]

    @property
    def slug(self) -> str:
        """For names of files: readable, and unlike any other cell's."""
        words = re.sub(r"[^a-z0-9]+", "-", self.name.lower()).strip("-")[:60]
        return f"{words}-{digest([self.name])[:6]}"


def cells_of(suite: Suite) -> tuple[Cell, ...]:
    """In the order of the matrix, then what is included. ``UsageError`` where two are the same, or none is left."""
    products = [(choice, {**suite.base, **choice}) for choice in _products(suite.matrix)]
    chosen = [choice for choice, settings in products if not any(_has(settings, e) for e in suite.exclude)]
    included = [dict(choice) for choice in suite.include]
    labels = [""] * len(chosen) + [str(choice.pop(LABEL, "")) for choice in included]
    varying = [{**settings} for settings in (*chosen, *included)]
    if not varying:
        raise UsageError("no cell is left: every one is excluded")
    keys = list(dict.fromkeys(key for settings in varying for key in settings))
    telling = [key for key in keys if len({digest(settings.get(key, suite.base.get(key))) for settings in varying}) > 1]
    words = _telling_words([_merged(suite.base, settings) for settings in varying])
    found = []
    for settings, label in zip(varying, labels, strict=True):
        shown = {key: words(key, settings.get(key, suite.base.get(key))) for key in telling}
        shown = {key: said for key, said in shown.items() if said}
        name = label or ", ".join(named(key, said) for key, said in shown.items()) or _only(suite)
        found.append(Cell(name=name, settings=_merged(suite.base, settings), shown=shown))
    for one, other in itertools.combinations(found, 2):
        if one.name == other.name:
            raise UsageError(f"two cells are called '{one.name}': leave one out, or give included cells a label")
    if suite.baseline and not any(baseline_of(cell, found, suite) for cell in found):
        wanted = ", ".join(f"{key.replace('_', '-')} {value}" for key, value in suite.baseline.items())
        raise UsageError(f"no cell has the settings of the baseline ({wanted}): name another one")
    return tuple(found)


def baseline_of(cell: Cell, cells: Sequence[Cell], suite: Suite) -> Cell | None:
    """The cell that has the baseline's settings, and this one's beside; None where there is none."""
    wanted = {**cell.settings, **suite.baseline}
    same = (c for c in cells if digest(c.settings) == digest(wanted))
    near = (c for c in cells if all(c.settings.get(key) == wanted.get(key) for key in (*suite.matrix, *suite.baseline)))
    return next(same, next(near, None))


def word(key: str, value: Any) -> str:
    """A setting's value, shortly."""
    if value is None:
        return ""
    if (key, value) == ("capability", JOINT):
        return "all together"
    if key == "data":
        return Path(str(value)).stem or str(value)
    if key == "model" and "/" in str(value):
        return str(value).rstrip("/").rpartition("/")[2]
    if isinstance(value, Mapping):  # options, by kind of plugin
        return " ".join(f"{kind}.{name}={v}" for kind, own in value.items() for name, v in own.items())
    if isinstance(value, bool):
        return "on" if value else "off"
    return f"{value:g}" if isinstance(value, float) else str(value)


def named(key: str, said: str) -> str:
    """With the setting's name, where the value does not speak for itself."""
    return said if key in SPEAKING else f"{key.replace('_', '-')} {said}"


JOINT = ""
"""The capability of a cell that learns all of them."""
SPEAKING = ("data", "model", "backend", "accelerator", "quantization", "method", "optimizer", "dtype", "options")


def _merged(base: Choice, settings: Choice) -> dict[str, Any]:
    """Options of plugins one by one, all else whole."""
    merged = {**base, **settings}
    if "options" in base and "options" in settings:
        kinds = dict.fromkeys((*base["options"], *settings["options"]))
        merged["options"] = {k: {**base["options"].get(k, {}), **settings["options"].get(k, {})} for k in kinds}
    return merged


def _telling_words(cells: Sequence[Choice]) -> Callable[[str, Any], str]:
    """``word``, or the whole value where two of them have the same."""
    alike: set[tuple[str, str]] = set()
    for key in ("data", "model"):
        values = {str(cell[key]) for cell in cells if cell.get(key) is not None}
        said = [word(key, value) for value in values]
        alike |= {(key, each) for each in said if said.count(each) > 1}
    return lambda key, value: str(value) if (key, word(key, value)) in alike else word(key, value)


def _products(matrix: Mapping[str, Sequence[Any]]) -> Iterator[Choice]:
    for values in itertools.product(*matrix.values()):
        yield dict(zip(matrix, values, strict=True))


def _has(settings: Choice, wanted: Choice) -> bool:
    return all(key in settings and settings[key] == value for key, value in wanted.items())


def _only(suite: Suite) -> str:
    """The one cell of a suite in which nothing varies."""
    return str(suite.base.get("backend", "peft"))
