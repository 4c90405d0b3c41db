"""What the rows hold: roles, turns, characters, and more than words."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from graftlm.contracts.conversation import Conversation

from .distributions import Distribution, Tally
from .oddities import THOUGHT

MOST_CAPABILITIES = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Contents:
    """``roles`` counts turns by who speaks. ``turns`` are those of each conversation, ``characters`` those of each
    turn, ``row_characters`` those of each row (all None without rows). ``documents`` are texts without turns;
    ``thoughts`` and ``tools`` count rows that hold them; ``capabilities`` counts rows by the skill that they name;
    ``empty_answers`` counts rows in which a trained answer before the last is empty (if the last is, it is a fault).
    """

    roles: dict[str, int]
    turns: Distribution | None
    characters: Distribution | None
    row_characters: Distribution | None
    documents: int
    thoughts: int
    tools: int
    capabilities: dict[str, int]
    empty_answers: int
    first_empty_answers: tuple[str, ...]


class ContentCounts:
    """Rows as they go by."""

    def __init__(self) -> None:
        self._roles: Counter[str] = Counter()
        self._turns, self._characters, self._row_characters = Tally(), Tally(), Tally()
        self._capabilities: Counter[str] = Counter()
        self._empty: list[str] = []
        self.documents = self.thoughts = self.tools = self._empty_answers = 0

    def add(self, conversation: Conversation) -> None:
        characters = 0
        thinks = empty = False
        for message in conversation.messages:
            length = len(message.content)
            characters += length
            self._roles[message.role] += 1
            self._characters.add(length)
            if message.role == "assistant":
                thinks = thinks or THOUGHT in message.content
                empty = empty or not (message.tool_calls or message.content.strip() or message.train is False)
        self._turns.add(len(conversation.messages))
        self._row_characters.add(characters)
        self.documents += conversation.is_document
        self.thoughts += thinks
        self.tools += conversation.uses_tools
        if empty:
            self._empty_answers += 1
            self._empty = [*self._empty, conversation.source][:10]
        name = conversation.capability
        if name and (name in self._capabilities or len(self._capabilities) < MOST_CAPABILITIES):
            self._capabilities[name] += 1

    def counted(self) -> Contents:
        return Contents(
            roles=dict(self._roles.most_common()),
            turns=self._turns.distribution(),
            characters=self._characters.distribution(),
            row_characters=self._row_characters.distribution(),
            documents=self.documents,
            thoughts=self.thoughts,
            tools=self.tools,
            capabilities=dict(sorted(self._capabilities.items())),
            empty_answers=self._empty_answers,
            first_empty_answers=tuple(self._empty),
        )
