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

IGNORED = -100
"""The label of a token that is not trained (torch's ``ignore_index``)."""


@dataclass(frozen=True, slots=True)
class Encoded:
    """``ids`` and ``labels`` have one entry a token; a label is the token's own id, or ``IGNORED``."""

    ids: list[int]
    labels: list[int]


class SpanTokenizer:
    """Reads ``tokenizer.json`` as the model ships it, once whole and once without its added tokens."""

    def __init__(self, definition: str) -> None:
        self._full = Tokenizer.from_str(definition)
        self._words = Tokenizer.from_str(json.dumps(_without_added_tokens(json.loads(definition))))
        self._words.no_padding()
        self._words.no_truncation()
        unknown = json.loads(definition).get("model", {}).get("unk_token")  # stands for words, if for none it knows
        self._control = {
            token_id for token_id, token in self._full.get_added_tokens_decoder().items() if token.content != unknown
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

    def words(self, text: str) -> list[int]:
        """Ids of plain words; never a control token."""
        ids: list[int] = self._words.encode(text, add_special_tokens=False).ids
        if self._control.isdisjoint(ids):
            return ids
        # A vocabulary may hold a control token as an ordinary entry: split the words until it no longer matches.
        middle = len(text) // 2
        if not middle:
            raise DataError(f"{text!r} is a control token of this model's tokenizer, and stands in the data")
        return self.words(text[:middle]) + self.words(text[middle:])

    def pieces(self, spans: Iterable[Span]) -> list[list[Span]]:
        """Groups of spans that are tokenized as one text (a control token is a group of its own)."""
        groups: list[list[Span]] = []
        for span in spans:
            if not span.text:
                continue
            last = groups[-1][-1] if groups else None
            if last is None or "control" in (span.kind, last.kind) or span.answer != last.answer:
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

    def decode(self, ids: Sequence[int]) -> str:
        """Text of ids, control tokens left out."""
        return str(self._full.decode(list(ids), skip_special_tokens=True))


def _without_added_tokens(definition: dict[str, Any]) -> dict[str, Any]:
    """The same tokenizer, blind to control tokens.

    Metaspace's "first" means the start of the whole text, and every template starts with a control token, so no piece
    is a start: it must not gain a space that one-piece tokenization would not give it.
    """
    words = {**definition, "added_tokens": [], "post_processor": None, "padding": None, "truncation": None}
    pre = words.get("pre_tokenizer") or {}
    for part in [pre, *pre.get("pretokenizers", [])]:
        if part.get("prepend_scheme") == "first":
            part["prepend_scheme"] = "never"
    return words
