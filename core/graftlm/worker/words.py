"""In whose words somebody is asked: template, thinking, and the tokens that end an answer."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

from graftlm.chat_templates.binding import bound, own_template
from graftlm.chat_templates.own import OwnTemplate
from graftlm.contracts.conversation import Conversation, Message, RenderOptions
from graftlm.contracts.errors import RunError
from graftlm.contracts.specs import PromptTemplate
from graftlm.encoding.tokenizing import SpanTokenizer
from graftlm_registry.plugins import registry

from .generation import stop_ids

Fits = Callable[[int], bool]


@dataclass(frozen=True, slots=True)
class Voice:
    """``stops`` are ids of tokens."""

    template: PromptTemplate
    thinking: bool
    stops: tuple[int, ...]
    tokenizer: SpanTokenizer

    def ids(self, conversation: Conversation) -> list[int]:
        """The prompt, up to where the answer begins."""
        asked = RenderOptions(generation_prompt=True, thinking=self.thinking)
        return self.tokenizer.encode(self.template.render(conversation, asked)).ids

    def fitted(self, conversation: Conversation, fits: Fits) -> tuple[list[int], int]:
        """The prompt without as many of its oldest turns as it takes to fit, and how many those are: each a user's with
        all that answers it. The system text and the last question stay.
        """
        ids, dropped = self.ids(conversation), 0
        while not fits(len(ids)) and (shorter := _without_oldest(conversation)):
            conversation, dropped = shorter, dropped + 1
            ids = self.ids(conversation)
        return ids, dropped

    def said(self, text: str) -> str:
        """What stays of an answer in the conversation: its thoughts do not."""
        return self.template.said(text) if self.thinking else text


class Voices:
    """Everybody's voice, by name. Templates of models are kept ready for as long as the ``stack`` is open."""

    def __init__(self, tokenizer: SpanTokenizer, folder: Path, stack: ExitStack) -> None:
        self.tokenizer = tokenizer
        self._folder, self._stack = folder, stack
        self._own: dict[str, OwnTemplate] = {}
        self._voices: dict[str, Voice] = {}

    def add(self, who: str, template: str, thinking: bool, today: str) -> None:
        if today not in self._own:
            self._own[today] = self._stack.enter_context(own_template(self._folder, today))
        made = bound(registry().get(PromptTemplate, template), self._own[today])
        stops = tuple(stop_ids(self.tokenizer, made.stop_tokens))
        self._voices[who] = Voice(made, thinking, stops, self.tokenizer)

    def __getitem__(self, who: str) -> Voice:
        if who not in self._voices:
            raise RunError(f"{who} is not loaded; there are: {', '.join(filter(None, self._voices)) or 'none'}")
        return self._voices[who]


def _without_oldest(conversation: Conversation) -> Conversation | None:
    messages = conversation.messages
    users = [i for i, message in enumerate(messages) if message.role == "user"]
    if len(users) < 2:
        return None
    kept: tuple[Message, ...] = (*(m for m in messages[: users[0]] if m.role == "system"), *messages[users[1] :])
    return replace(conversation, messages=kept)
