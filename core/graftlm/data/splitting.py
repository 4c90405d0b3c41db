"""Train, validation and test, by a hash of each row's content.

A row's split depends on its own words alone, so adding rows moves no old one, and equal rows (but for case and white
space) never fall on both sides.
"""

from __future__ import annotations

import hashlib
from typing import Literal

from graftlm.contracts.conversation import Conversation

SplitName = Literal["train", "validation", "test"]


def normalised(conversation: Conversation) -> str:
    """The question's words in lower case, white space folded: what makes two rows the same question."""
    turns = [m for m in conversation.messages if m.role != "assistant"]
    return "\n".join(" ".join(m.content.lower().split()) for m in turns)


def membership(conversation: Conversation, val_split: float, test_split: float) -> SplitName:
    """The split of a row, where ``val_split`` and ``test_split`` are shares of all rows."""
    content = hashlib.sha256(normalised(conversation).encode("utf-8", "surrogatepass")).digest()
    place = int.from_bytes(content[:8], "big") / 2**64
    if place < test_split:
        return "test"
    return "validation" if place < test_split + val_split else "train"


class RunningDigest:
    """Digest and number of rows, as they go by."""

    def __init__(self) -> None:
        self.rows = 0
        self._hash = hashlib.sha256()

    def add(self, line: str) -> None:
        self.rows += 1
        self._hash.update(line.encode("utf-8", "surrogatepass"))

    @property
    def digest(self) -> str:
        return self._hash.hexdigest()[:16]
