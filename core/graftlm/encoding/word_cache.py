"""Words that were tokenized before need not be again.

A text may be cut before a space that stands between two other characters, and its parts tokenized one by one, where
nothing in the tokenizer reaches across such a place: no merge makes a token with a space behind another character, and
its normalizer and pre-tokenizer are of the kinds below, which see no further than a run of white space. Then the
ids are the same, and most words of a text are already known: tokenizing takes a fraction of the time.
"""

from __future__ import annotations

import re
from array import array
from collections.abc import Callable
from typing import Any

from tokenizers import Tokenizer

LONGEST = 40
"""Characters of a word that is worth keeping."""
MOST = 150_000
"""Words that are kept at once."""
NORMALIZERS = frozenset({"NFC", "NFD", "NFKC", "NFKD", "Replace"})
PRE_TOKENIZERS = frozenset({"ByteLevel", "Metaspace", "Digits", "Punctuation", "Split", "WhitespaceSplit"})
CROSSING = {
    True: re.compile("[^ĠĉĊċČč]Ġ"),
    False: re.compile("[^▁ \t\n\r][▁ ]"),
}
"""A space behind what is none, as byte-level vocabularies write it, and as others do."""
SPACES = (" ", "▁", "Ġ")
SAFE = "[\\w!-~\u00a1-\u00ac\u00ae-\u00bf\u2010-\u2027\u2030-\u205e\u3001-\u3003\u3008-\u3011]"
"""Next to a cut: not white space, and no mark that a normalizer would join with what stands before it."""
CUT = re.compile(f"(?<={SAFE}) (?={SAFE})")
WORD = re.compile(f"{SAFE}(?:[^ ]*{SAFE})?")
"""What may stand between two cuts."""


TRIAL = ("ab cd", "Ab, 12 (ef) gh.", "x 7 y-z \u00e9\u00e8 \u6f22 \u5b57", "it's a\nnew\tline end")
"""Texts whose cuts must be boundaries of the pre-tokenizer too."""


def can_cut(definition: dict[str, Any], tokenizer: Tokenizer) -> bool:
    """Whether ``tokenizer.json`` describes a tokenizer that sees no further than a run of white space."""
    model = definition["model"]
    parts = _parts(definition.get("pre_tokenizer"), "pretokenizers")
    byte_level = any(part["type"] == "ByteLevel" for part in parts)
    return (
        model.get("type") == "BPE"
        and not definition["added_tokens"]
        and not any(model.get(name) for name in ("dropout", "continuing_subword_prefix", "end_of_word_suffix"))
        and (not model.get("ignore_merges") or any(map(_splits, parts)))  # else a cut makes words of what was none
        and (not model.get("fuse_unk") or any(space in model["vocab"] for space in SPACES))
        and all(map(_plain_normalizer, _parts(definition.get("normalizer"), "normalizers")))
        and all(map(_plain_pre_tokenizer, parts))
        and not (byte_level and _writes_spaces(definition, parts))
        and not any(map(CROSSING[byte_level].search, map(_merged, model["merges"])))
        and all(_cuts_are_boundaries(text, tokenizer) for text in TRIAL)
    )


def _splits(part: dict[str, Any]) -> bool:
    """Whether the part itself makes a new piece before a space."""
    return bool(
        part["type"] in ("Split", "WhitespaceSplit")
        or (part["type"] == "Metaspace" and part.get("split", True))
        or (part["type"] == "ByteLevel" and part.get("use_regex", True))
    )


def _writes_spaces(definition: dict[str, Any], parts: list[dict[str, Any]]) -> bool:
    """``▁`` for a space, which a byte-level part would write as three other letters."""
    return any(
        p["type"] in ("Metaspace", "Replace") for p in [*parts, *_parts(definition["normalizer"], "normalizers")]
    )


def _cuts_are_boundaries(text: str, tokenizer: Tokenizer) -> bool:
    """Whether the parts of a text are pre-tokenized as they are within it."""
    if tokenizer.pre_tokenizer is None:
        return True

    def pieces(words: str) -> list[str]:
        normal = tokenizer.normalizer.normalize_str(words) if tokenizer.normalizer else words
        return [piece for piece, _ in tokenizer.pre_tokenizer.pre_tokenize_str(normal)]

    first, *others = CUT.split(text)
    apart = [piece for words in (first, *(f" {word}" for word in others)) for piece in pieces(words)]
    whole = pieces(text)
    return apart == whole or (len(whole) == 1 and "".join(apart) == whole[0])


def _parts(component: dict[str, Any] | None, name: str) -> list[dict[str, Any]]:
    if component is None:
        return []
    if component["type"] == "Sequence":
        return [part for inner in component[name] for part in _parts(inner, name)]
    return [component]


def _plain_normalizer(part: dict[str, Any]) -> bool:
    if part["type"] == "Replace":
        return bool(part["pattern"] == {"String": " "} and part["content"] == "▁")
    return part["type"] in NORMALIZERS


def _plain_pre_tokenizer(part: dict[str, Any]) -> bool:
    """A pre-tokenizer must not write a space of its own, nor look back (a cut hides what stands before)."""
    if part["type"] == "ByteLevel":
        return not part.get("add_prefix_space")
    if part["type"] == "Metaspace":
        return part.get("prepend_scheme") == "never"
    if part["type"] == "Split":
        pattern = part["pattern"].get("Regex", "")
        return not any(look in pattern for look in ("(?<", "^", "\\A", "\\b", "\\B", "\\G")) or _only_negated(pattern)
    return part["type"] in PRE_TOKENIZERS


def _only_negated(pattern: str) -> bool:
    """Every ``^`` negates a set, and nothing else looks back."""
    return not re.search(r"\(\?<|\\[AbBG]|(?<!\[)\^", pattern)


def _merged(merge: str | list[str]) -> str:
    """What a merge makes, in either of the two ways in which it is written down."""
    return merge.replace(" ", "", 1) if isinstance(merge, str) else "".join(merge)


class WordCache:
    """Ids of whole texts, put together from those of their words. ``tokenize`` gives the ids of any text."""

    def __init__(self, tokenize: Callable[[str], list[int]]) -> None:
        self._tokenize = tokenize
        self._known: dict[str, bytes] = {}
        """Ids as packed integers: a text's are joined, and not handled one by one."""
        self._spaced: dict[str, bytes] = {}
        """By the bare word, what a space and the word give; only of words that may stand between two cuts."""

    def ids(self, text: str) -> list[int]:
        ids = array("i")
        ids.frombytes(self._packed(text))
        return ids.tolist()

    def _packed(self, text: str) -> bytes:
        first, *words = text.split(" ")
        if words and first and not WORD.fullmatch(first):
            return self._of_parts(text)
        found = list(map(self._spaced.get, words))
        if None in found:
            for i, word in enumerate(words):
                if found[i] is None:
                    if not WORD.fullmatch(word):
                        return self._of_parts(text)
                    found[i] = known = self._of(f" {word}")
                    if len(word) <= LONGEST:
                        self._spaced[word] = known
        return self._of(first) + b"".join(found)  # type: ignore[arg-type] # none of them is None any more

    def _of_parts(self, text: str) -> bytes:
        """However many spaces stand together, and whatever white space beside them: it is cut between words alone."""
        first, *others = CUT.split(text)
        return self._of(first) + b"".join([self._of(f" {word}") for word in others])

    def _of(self, word: str) -> bytes:
        found = self._known.get(word)
        if found is None:
            found = array("i", self._tokenize(word)).tobytes() if word else b""
            if len(word) <= LONGEST + 1:
                if len(self._known) >= MOST:
                    self._known.clear()
                    self._spaced.clear()
                self._known[word] = found
        return found
