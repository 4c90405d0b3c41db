"""Text that decodes badly: somebody else's mistake that would be learned."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from graftlm.contracts.conversation import Conversation

from .places import First

CONTINUES = "\u0080-¿€‚ƒ„…†‡ˆ‰Š‹ŒŽ‘’“”•–—˜™š›œžŸ"
"""What the bytes 80 to BF become, that follow the first of a UTF-8 character, in Latin-1 or Windows-1252."""
QUOTES = "«»“”‘’…–—"
"""Those of them that may well follow a capital letter."""

MOJIBAKE = (
    rf"Ã(?:(?<=[a-z]Ã)[{CONTINUES}]|(?![{QUOTES}])[{CONTINUES}])"  # accented letters
    r"|(?<![A-ZÀ-Þ])Â[\u00a0-¿]"  # signs such as °, £ and the no-break space
    rf"|â(?:€|\u0080)[{CONTINUES}]"  # quotes and dashes
    rf"|ðŸ[{CONTINUES}]{{1,2}}|ð\u009f[{CONTINUES}]{{1,2}}"  # emoji
    rf"|(?:[ÐÑ][{CONTINUES}]){{2,}}"  # Cyrillic
    rf"|(?:[ã-é][{CONTINUES}]{{2}}){{2,}}"  # Chinese, Japanese, Korean
)
KINDS = {
    "mojibake": MOJIBAKE,
    "replacement": "\ufffd+",
    "bom": "\ufeff",
    "control": r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]+",
    "entity": r"&(?:amp|lt|gt|quot|apos|nbsp|#\d{2,6}|#[xX][0-9a-fA-F]{2,5});",
}
DESCRIBED = {
    "mojibake": "text that was UTF-8 and was read as Latin-1 (Ã© for é)",
    "replacement": "U+FFFD, which stands for bytes that could not be decoded",
    "bom": "a byte order mark inside the text",
    "control": "control characters",
    "entity": "HTML entities (&amp; for &)",
}
PATTERN = re.compile("|".join(f"(?P<{kind}>{pattern})" for kind, pattern in KINDS.items()))
PLAIN = re.compile(r"[^\t\n\r -%'-~]")
"""A text without any of these has nothing to complain of (an ampersand is looked at)."""
AROUND = 12
"""Characters shown on either side."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BadText:
    """``rows`` that hold a ``kind`` of it: mojibake, replacement, bom, control or entity. ``first`` are (place, the
    text around it with escapes).
    """

    kind: str
    rows: int
    first: tuple[tuple[str, str], ...]


class BadTexts:
    """Rows whose words decode badly, as they go by."""

    def __init__(self) -> None:
        self._found: dict[str, First[tuple[str, str]]] = {kind: First() for kind in KINDS}

    def add(self, row: int, conversation: Conversation) -> None:
        seen = set()
        for message in conversation.messages:
            for kind, around in _defects(message.content):
                if kind not in seen:
                    seen.add(kind)
                    self._found[kind].add(row, (conversation.source, around))

    def found(self) -> tuple[BadText, ...]:
        return tuple(
            BadText(kind=kind, rows=first.found, first=first.examples)
            for kind, first in self._found.items()
            if first.found
        )


def _defects(text: str) -> Iterator[tuple[str, str]]:
    if not PLAIN.search(text):
        return
    for match in PATTERN.finditer(text):
        around = text[max(0, match.start() - AROUND) : match.end() + AROUND]
        yield str(match.lastgroup), "".join(c if c.isprintable() else f"\\u{ord(c):04x}" for c in around)
