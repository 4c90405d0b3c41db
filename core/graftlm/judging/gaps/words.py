"""Answers as they are compared: without what does not matter, and by the script of their letters."""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Iterable
from functools import lru_cache

from graftlm.data.splitting import folded

KANA = "KANA"
JAPANESE = 0.1
"""A text with this share of kana is Japanese, whatever else it is written in."""
UNSPACED = frozenset(("CJK", KANA, "THAI", "LAO", "KHMER", "MYANMAR", "TIBETAN"))
"""Scripts in which no space stands between words."""


def bare(text: str) -> str:
    """Folded, and without the punctuation around it; a text that is nothing else stays."""
    words = folded(unicodedata.normalize("NFKC", text))
    start, end = 0, len(words)
    while start < end and _outside(words[start]):
        start += 1
    while end > start and _outside(words[end - 1]):
        end -= 1
    return words[start:end] or words


def _outside(character: str) -> bool:
    return character.isspace() or unicodedata.category(character).startswith("P")


@lru_cache(maxsize=4096)
def letter_script(character: str) -> str:
    """The script of a letter, as the first word of its name; empty for what is no letter of its own."""
    category = unicodedata.category(character)
    if not category.startswith("L") or category == "Lm":
        return ""
    name = unicodedata.name(character, "").partition(" ")[0]
    return KANA if name in ("HIRAGANA", "KATAKANA") else name


def script(texts: Iterable[str]) -> str:
    """The script of more than half of the letters; empty where there is none such."""
    counts = Counter(letter_script(c) for text in texts for c in unicodedata.normalize("NFKC", text))
    del counts[""]
    total = counts.total()
    if counts[KANA] > JAPANESE * total:
        return KANA
    name, most = max(counts.items(), key=lambda item: item[1], default=("", 0))
    return name if 2 * most > total else ""


def goes_on(text: str, beginning: str) -> bool:
    """``text`` begins with the whole of ``beginning``, which is not only a part of a longer word or number there."""
    if not (beginning and len(text) > len(beginning) and text.startswith(beginning)):
        return False
    last, rest = beginning[-1], text[len(beginning) :]
    if last.isdigit() and rest[0] in ".,:/-" and rest[1:2].isdigit():
        return False
    if last.isdigit() or rest[0].isdigit():
        return not (last.isalnum() and rest[0].isalnum())
    unspaced = letter_script(last) in UNSPACED or letter_script(rest[0]) in UNSPACED
    return unspaced or not (last.isalnum() and rest[0].isalnum())
