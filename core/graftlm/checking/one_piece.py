"""Where the ids differ from those that the tokenizer makes of a whole text, and why."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import replace

from graftlm.contracts.conversation import Conversation, RenderOptions, Span
from graftlm.contracts.specs import PromptTemplate
from graftlm.encoding.rendering import render
from graftlm.encoding.tokenizing import SpanTokenizer


class OnePiece:
    """Rows as a template renders them, against one text of all they hold. ``added_tokens`` are the tokenizer's."""

    def __init__(
        self, template: PromptTemplate, tokenizer: SpanTokenizer, thinking: bool, added_tokens: Iterable[str]
    ) -> None:
        self._template, self._tokenizer = template, tokenizer
        self._options = RenderOptions(thinking=thinking)
        longest_first = sorted((token for token in added_tokens if token.strip()), key=lambda t: (-len(t), t))
        self._tokens = re.compile("|".join(map(re.escape, longest_first))) if longest_first else None

    def typed(self, conversation: Conversation) -> str:
        """The text of an added token that stands in the row's words, and stays words; empty where there is none."""
        if self._tokens is None or not (
            conversation.tools or any(self._tokens.search(m.content) for m in conversation.messages)
        ):
            return ""
        for span in self._spans(conversation):
            found = self._tokens.search(span.text) if span.kind == "content" else None
            if found:
                return found.group()
        return ""

    def differs(self, conversation: Conversation) -> tuple[bool, bool]:
        """Whether the ids differ, and whether they still do where a token may reach from the prompt into an answer."""
        spans = self._spans(conversation)
        whole = self._tokenizer.one_piece("".join(span.text for span in spans))
        if self._tokenizer.encode(spans).ids == whole:
            return False, False
        joined = [replace(span, answer=False, trained=False) for span in spans]
        return True, self._tokenizer.encode(joined).ids != whole

    def _spans(self, conversation: Conversation) -> Sequence[Span]:
        return render(self._template, conversation, self._options)
