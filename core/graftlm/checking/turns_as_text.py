"""Texts that look like turns: a chat that is kept as text would be trained as a plain document."""

from __future__ import annotations

import re

LOOKED_AT = 20_000
"""Characters of a text that are looked at."""
MANY = 0.1
"""Share of the texts from which it is said."""
HINTS = ("<|", "INST]", "<start_of", "###", "UMAN", "uman", "USER", "User", "SSISTANT", "ssistant", "ChatGPT")
"""One of them is in whatever the patterns find, and they are found fast."""
MARKED = re.compile(r"<\|(?:im_start|start_header_id|user|assistant)\|>|\[INST\]|<start_of_turn>")
TITLED = re.compile(r"^### ?(?:Instruction|Human|User|Assistant|Response)\b:?", re.MULTILINE)
SPOKEN = re.compile(r"^[*<\[]{0,2}(?:HUMAN|Human|USER|User|ASSISTANT|Assistant|ChatGPT)[*>\]]{0,2} ?:", re.MULTILINE)
ASKED, ANSWERED = (re.compile(rf"^(?:{who}) ?:", re.MULTILINE) for who in ("user|human", "assistant"))
"""In lower case both sides must speak: ``user:`` alone is a line of many files."""


def turn_mark(text: str) -> str:
    """The first sign of a turn in a text, empty where there is none."""
    text = text[:LOOKED_AT]
    if not any(hint in text for hint in HINTS):
        return ""
    for pattern in (MARKED, TITLED, SPOKEN):
        match = pattern.search(text)
        if match:
            return match.group()
    asked = ASKED.search(text)
    return asked.group() if asked and ANSWERED.search(text) else ""
