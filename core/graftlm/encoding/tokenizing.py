"""From spans to token ids.

Text is tokenized in pieces that end at control tokens and where an answer begins, as at inference: there the prompt
is tokenized before the answer exists, so no token may reach across. Control tokens are looked up by name, and the
tokenizer that reads words does not know them, so no words become one.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer

from graftlm.contracts.conversation import Span
from graftlm.contracts.errors import DataError, ModelError

from .word_cache import WordCache, can_cut

IGNORED = -100
"""The label of a token that is not trained (torch's ``ignore_index``)."""


@dataclass(frozen=True, slots=True)
class Encoded:
    """``ids`` and ``labels`` have one entry a token; a label is the token's own id, or ``IGNORED``."""

    ids: list[int]
    labels: list[int]

    def part(self, begin: int, end: int) -> Encoded:
        return Encoded(self.ids[begin:end], self.labels[begin:end])


class SpanTokenizer:
    """Reads ``tokenizer.json`` as the model ships it, once whole and once without its added tokens."""

    def __init__(self, definition: str) -> None:
        described = json.loads(definition)
        self._full = Tokenizer.from_str(definition)
        self._full.no_padding()
        self._full.no_truncation()
        blind = _without_added_tokens(described)
        self._words = Tokenizer.from_str(json.dumps(blind))
        self._ids_of = WordCache(self._plain).ids if can_cut(blind, self._words) else self._plain
        unknown = described["model"].get("unk_token")  # stands for words, if for none it knows
        words = {token["id"] for token in blind["added_tokens"]}
        self._control = {
            token_id
            for token_id, token in self._full.get_added_tokens_decoder().items()
            if token.content != unknown and token_id not in words
        }

    @classmethod
    def from_folder(cls, folder: Path) -> SpanTokenizer:
        """Raises ``ModelError`` where the folder has no ``tokenizer.json``."""
        path = folder / "tokenizer.json"
        if not path.is_file():
            raise ModelError(
                f"no tokenizer.json in {folder}: graftlm needs a fast tokenizer "
                "(save one with AutoTokenizer.from_pretrained(…).save_pretrained(…))"
            )
        return cls(path.read_text(encoding="utf-8"))

    def control_id(self, token: str) -> int:
        """The id of a control token; ``ModelError`` where the tokenizer has none of that name."""
        token_id = self._full.token_to_id(token)
        if token_id is None:
            raise ModelError(f"this model's tokenizer has no token {token!r}: choose another --template")
        return int(token_id)

    def has(self, token: str) -> bool:
        return self._full.token_to_id(token) is not None

    def _plain(self, text: str) -> list[int]:
        ids: list[int] = self._words.encode(text, add_special_tokens=False).ids
        return ids

    def words(self, text: str) -> list[int]:
        """Ids of plain words; never a control token."""
        ids = self._ids_of(text)
        if self._control.isdisjoint(ids):
            return ids
        return [token_id for part in self._harmless(text) for token_id in self._plain(part)]

    def _harmless(self, text: str) -> list[str]:
        """A vocabulary may hold a control token as an ordinary entry: the text is cut in the middle of its words."""
        encoding = self._words.encode(text, add_special_tokens=False)
        place = next((p for i, p in zip(encoding.ids, encoding.offsets, strict=True) if i in self._control), None)
        if place is None:
            return [text]
        begin, end = place
        if end - begin < 2:
            raise DataError(f"{text[begin:end]!r} is a control token of this model's tokenizer, and stands in the data")
        middle = (begin + end) // 2
        return [*self._harmless(text[:middle]), *self._harmless(text[middle:])]

    def pieces(self, spans: Iterable[Span]) -> list[list[Span]]:
        """Groups of spans that are tokenized as one text (a control token is a group of its own)."""
        groups: list[list[Span]] = []
        for span in spans:
            if not span.text:
                continue
            last = groups[-1][-1] if groups else None
            if last is None or "control" in (span.kind, last.kind) or _parted(span, last):
                groups.append([span])
            else:
                groups[-1].append(span)
        return groups

    def encode(self, spans: Sequence[Span]) -> Encoded:
        """Ids of the spans in order, and labels that follow from ``Span.trained``."""
        ids: list[int] = []
        labels: list[int] = []
        for group in self.pieces(spans):
            first = group[0]
            new = (
                [self.control_id(first.text)] if first.kind == "control" else self.words("".join(s.text for s in group))
            )
            ids += new
            labels += new if first.trained else [IGNORED] * len(new)
        return Encoded(ids, labels)

    def shown(self, text: str) -> list[tuple[int, str]]:
        """``words`` with the stretch of text that each id stands for. A character of several tokens stands with the
        last of them.
        """
        parts = self._harmless(text)
        if len(parts) > 1:
            return [token for part in parts for token in self.shown(part)]
        encoding = self._words.encode(text, add_special_tokens=False)
        ends = [end for _, end in encoding.offsets]
        found, place = [], 0
        for i, token_id in enumerate(encoding.ids):
            last = i + 1 == len(ends) or ends[i + 1] > ends[i]
            end = max(place, ends[i]) if last else place
            end = len(text) if i + 1 == len(ends) else end
            found.append((token_id, text[place:end]))
            place = end
        return found

    def one_piece(self, text: str) -> list[int]:
        """What the tokenizer makes of a whole rendered text, as its own chat template would have it."""
        ids: list[int] = self._full.encode(text, add_special_tokens=False).ids
        return ids

    def decode(self, ids: Sequence[int]) -> str:
        """Text of ids, control tokens left out."""
        return str(self._full.decode(list(ids), skip_special_tokens=True))


def _parted(span: Span, last: Span) -> bool:
    """An answer begins or ends between them, or what is trained: no token may stand on both sides."""
    return span.answer != last.answer or span.trained != last.trained


def _is_white_space(token: dict[str, Any]) -> bool:
    """Runs of spaces, which code models have as added tokens, are words like any other, and control nothing."""
    return not token.get("special") and not token["content"].strip()


def _without_added_tokens(definition: dict[str, Any]) -> dict[str, Any]:
    """The same tokenizer, blind to control tokens.

    A piece gains no space in front: where a model was trained with one, its template says it, as in ``[INST] U1``.
    """
    kept = [token for token in definition["added_tokens"] if _is_white_space(token)]
    words = {**definition, "added_tokens": kept, "post_processor": None, "padding": None, "truncation": None}
    pre = words.get("pre_tokenizer") or {}
    for part in [pre, *pre.get("pretokenizers", [])]:
        if part.get("prepend_scheme") in ("first", "always"):
            part["prepend_scheme"] = "never"
    normalizer = words.get("normalizer") or {}
    if normalizer.get("type") == "Prepend":
        words["normalizer"] = None
    elif normalizer.get("type") == "Sequence":
        normalizer["normalizers"] = [part for part in normalizer["normalizers"] if part["type"] != "Prepend"]
    return words
