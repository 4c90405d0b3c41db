"""Train, validation and test, by a hash of each row's content.

A row's split depends on its own words alone, so adding rows moves no old one, and equal rows (but for case and white
space) never fall on both sides. A rule may hold thresholds of its own for each class of answers: they are chosen once,
from the rows that were there, and kept, so that a grown file is split by the same ones.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from graftlm.contracts.conversation import Conversation

SplitName = Literal["train", "validation", "test"]
NAMES: tuple[SplitName, ...] = ("train", "validation", "test")
LONGEST_CLASS = 80
"""Characters of an answer that may name a class."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SplitRule:
    """Shares of all rows; ``classes`` maps an answer to its own (validation, test)."""

    validation: float
    test: float
    classes: Mapping[str, tuple[float, float]] = field(default_factory=dict)


def folded(text: str) -> str:
    """Lower case, white space folded."""
    return " ".join(text.lower().split())


def normalised(conversation: Conversation) -> str:
    """The words that are asked, folded (of a document, all words): what makes two rows the same."""
    return "\n".join(folded(m.content) for m in conversation.messages if m.role != "assistant")


def fingerprint(conversation: Conversation) -> int:
    """64 bits of the normalised content."""
    words = hashlib.sha256(normalised(conversation).encode("utf-8", "surrogatepass")).digest()
    return int.from_bytes(words[:8], "big")


def class_of(conversation: Conversation) -> str:
    """The answer, folded, where it is short enough to name a class."""
    answer = folded(conversation.answer)
    return answer if len(answer) <= LONGEST_CLASS else ""


def membership(conversation: Conversation, rule: SplitRule) -> SplitName:
    """The split of a row."""
    return split_at(fingerprint(conversation), class_of(conversation) if rule.classes else "", rule)


def split_at(place: int, label: str, rule: SplitRule) -> SplitName:
    """The split of a fingerprint in a class."""
    validation, test = rule.classes.get(label, (rule.validation, rule.test))
    share = place / 2**64
    if share < test:
        return "test"
    return "validation" if share < test + validation else "train"


def stratified(rows: Iterable[tuple[int, str]], validation: float, test: float) -> SplitRule:
    """Thresholds that give every class its shares, as near as whole rows can. ``rows`` are fingerprints with classes;
    an answer that stands there once names no class.
    """
    classes: dict[str, set[int]] = {}
    for place, label in rows:
        if label:
            classes.setdefault(label, set()).add(place)
    thresholds = {
        label: _thresholds(sorted(places), validation, test) for label, places in classes.items() if len(places) > 1
    }
    return SplitRule(validation=validation, test=test, classes=thresholds)


def _thresholds(places: list[int], validation: float, test: float) -> tuple[float, float]:
    """Shares (validation, test) of the hash's range that hold the wanted number of these places."""
    tests = round(len(places) * test)
    held = min(tests + round(len(places) * validation), len(places) - 1)
    low = _between(places, min(tests, held)) if test else 0.0
    high = _between(places, held) if validation else low
    return max(0.0, high - low), low


def _between(places: list[int], count: int) -> float:
    """A share with ``count`` places below it."""
    before = places[count - 1] if count else 0
    return (before + places[count]) / 2**65


class RunningDigest:
    """Digest and number of rows, as they go by."""

    def __init__(self) -> None:
        self.rows = 0
        self._hash = hashlib.sha256()

    def add(self, content: bytes) -> None:
        self.rows += 1
        self._hash.update(content)

    @property
    def digest(self) -> str:
        return self._hash.hexdigest()[:16]
