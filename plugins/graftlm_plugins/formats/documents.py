"""Records whose field ``text`` is all that is trained on."""

from __future__ import annotations

import re

from graftlm.api import Record

from .fields import holds, is_alpaca, pairs_in

MARKER = re.compile(r"<HUMAN>:", re.IGNORECASE)
"""What makes turns of a text."""

LABELS = (
    "label", "labels", "label_text", "label_name", "class", "sentiment", "summary", "target", "output", "response",
    "completion", "answer",
)  # fmt: skip
"""What a table gives as the answer to its text, which is no document then."""


def is_text_alone(record: Record) -> bool:
    """Whether there is a ``text``, and nothing else that would be trained on: Alpaca's files hold a copy as text."""
    if "text" not in record or is_alpaca(record) or pairs_in(record):
        return False
    return not any(holds(record, name) for name in ("messages", "conversations", *LABELS))
