"""JSON from outside: an object of bounded size, each key once, numbers that are numbers, words that can be written."""

from __future__ import annotations

import json
import re
import unicodedata
from typing import Any, NoReturn

from graftlm.contracts.errors import StoreError

from .safetensors_file import shortened

LARGEST = 4 << 20
PLAIN = re.compile(r"[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)*")
"""The name of a module, or the end of its path: as a regular expression, it matches at once or not at all."""


def read_object(raw: bytes, called: str) -> dict[str, Any]:
    """The object; ``StoreError`` that begins with what it is called otherwise."""
    if len(raw) > LARGEST:
        raise StoreError(f"{called} has {len(raw):,} bytes, and graftlm reads {LARGEST:,} at the most")
    try:
        value = json.loads(raw.decode(), object_pairs_hook=_each_once, parse_constant=_no_number)
        json.dumps(value, ensure_ascii=False, allow_nan=False).encode()
    except RecursionError:
        raise StoreError(f"{called} is nested too deeply") from None
    except UnicodeError:
        raise StoreError(f"{called} is not text in UTF-8") from None
    except ValueError as error:
        raise StoreError(f"{called} is not valid JSON: {_told(error)}") from None
    if not isinstance(value, dict):
        raise StoreError(f"{called} does not hold a JSON object")
    return value


def check_words(words: str, what: str, most: int) -> str:
    """The words, which can be printed as they are: no line breaks, no escapes, nothing that turns the direction."""
    if len(words) > most:
        raise StoreError(f"{what} has {len(words):,} characters, and graftlm takes {most:,} at the most")
    if not words.isprintable() or unicodedata.normalize("NFC", words) != words:
        raise StoreError(f"{what} has characters that cannot be printed: {shortened(words)}")
    return words


def is_plain(name: object) -> bool:
    return isinstance(name, str) and len(name) <= 512 and PLAIN.fullmatch(name) is not None


def _each_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) != len(pairs):
        seen: set[str] = set()
        twice = next(name for name, _ in pairs if name in seen or seen.add(name))  # type: ignore[func-returns-value]
        raise ValueError(f"it says {shortened(twice)} twice")
    return made


def _no_number(word: str) -> NoReturn:
    raise ValueError(f"{word} is no number")


def _told(error: ValueError) -> str:
    """The reason without the text itself."""
    return "it has a number that is too long" if "digits" in str(error) else str(error).partition(" (char")[0]
