"""What right answers look like: the names of classes, JSON, numbers, one shape, one script."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from graftlm.data.splitting import LONGEST_CLASS, folded

from .words import bare, goes_on, script

ROWS_OF_A_CLASS = 4
"""On average, where answers are to count as the names of classes."""
MOST_NUMBERS = 12
"""Different numbers that may still be classes, as stars from 1 to 5."""
FEWEST = 3
"""References from which a shape can be told."""
NUMBER = re.compile(r"[-+]?(\d+|\d{1,3}(,\d{3})+)([.,]\d+)?%?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """``classes`` maps each way to write the name of a class to its name, and is empty where answers are no classes.
    ``shape`` is "json", "number", a pattern as ``shape_of`` gives it, or empty.
    """

    classes: Mapping[str, str] = field(default_factory=dict)
    script: str = ""
    shape: str = ""

    def named(self, answer: str) -> str:
        """The class that an answer names, whole or as its beginning; empty where it names none."""
        for said in (folded(answer), bare(answer)):
            if said in self.classes:
                return self.classes[said]
        said = bare(answer)
        begun = [name for name in self.classes if goes_on(said, name)]
        return self.classes[max(begun, key=len)] if begun else ""


def expected(references: Sequence[str], classes: Collection[str]) -> Expected:
    """``classes`` are the folded names of all classes, or nothing."""
    return Expected(classes=_spellings(classes), script=script(references), shape=_common_shape(references))


def classes_among(wanted: Counter[str]) -> frozenset[str]:
    """The names of classes among folded answers with their counts; nothing where the answers are none.

    Answers are classes where each is short and they repeat (four rows of each on average, at least), and where they
    are no more than a dozen if they are numbers.
    """
    names = frozenset(wanted)
    if len(names) < 2 or any(not name or len(name) > LONGEST_CLASS for name in names):
        return frozenset()
    if len(names) * ROWS_OF_A_CLASS > wanted.total():
        return frozenset()
    if len(names) > MOST_NUMBERS and all(NUMBER.fullmatch(name) for name in names):
        return frozenset()
    return names


def _spellings(classes: Collection[str]) -> Mapping[str, str]:
    """A name without its punctuation stands for the class where it stands for one alone."""
    counts = Counter(bare(name) for name in classes)
    return {bare(name): name for name in classes if counts[bare(name)] == 1} | {name: name for name in classes}


def _common_shape(references: Sequence[str]) -> str:
    if len(references) < FEWEST:
        return ""
    for name in ("json", "number"):
        if all(has_shape(text, name) for text in references):
            return name
    shapes = {shape_of(text) for text in references}
    return shapes.pop() if len(shapes) == 1 else ""


def has_shape(text: str, shape: str) -> bool:
    """Whether an answer has the shape of all references."""
    if shape == "json":
        return _is_json(text)
    if shape == "number":
        return NUMBER.fullmatch(text.strip()) is not None
    return shape_of(text) == shape


def _is_json(text: str) -> bool:
    """An object or a list: a number alone is JSON, too, and nobody calls it so."""
    try:
        return isinstance(json.loads(text), dict | list)
    except (ValueError, RecursionError):
        return False


def shape_of(text: str) -> str:
    """Runs of letters as ``a``, of digits as ``9``, of spaces as one; all else stays: ``2024-05-01`` is ``9-9-9``."""
    kinds = ("a" if c.isalpha() else "9" if c.isdigit() else " " if c.isspace() else c for c in text.strip())
    return re.sub(r"([a9 ])\1+", r"\1", "".join(kinds))
