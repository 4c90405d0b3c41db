"""What the model's own chat template is given, with slots: somebody's words, for which others can stand in."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from random import Random
from string import ascii_lowercase
from typing import Any

from graftlm.api import Conversation, Message

THINK, THOUGHT = "<think>", "</think>"
STEM, WIDTH = "wqx", 4
Put = Callable[[str, int, bool], str]
"""Takes words, the number of their message, and whether they are a thought."""


@dataclass(frozen=True, slots=True)
class Slot:
    """Words of the message number ``turn``, without the white space around them. A ``thought`` may be left out."""

    words: str
    turn: int
    thought: bool


@dataclass(frozen=True, slots=True)
class Draft:
    """A conversation as OpenAI writes it, whose slots can be filled.

    White space stays around a slot, so that what a template trims, it trims whatever stands there. Where ``thoughts``
    is true, the tags around an assistant's thought stay as well, for the template looks for them.
    """

    conversation: Conversation
    thoughts: bool
    slots: tuple[Slot, ...]

    def filled(self, words: Sequence[str]) -> list[dict[str, Any]]:
        """The messages with these words in the slots, one a slot."""
        left = iter(words)
        return _messages(self.conversation, self.thoughts, lambda _words, _turn, _thought: next(left))

    def real(self) -> list[dict[str, Any]]:
        return self.filled([slot.words for slot in self.slots])


def drafted(conversation: Conversation, thoughts: bool) -> Draft:
    slots: list[Slot] = []

    def put(words: str, turn: int, thought: bool) -> str:
        slots.append(Slot(words, turn, thought))
        return words

    _messages(conversation, thoughts, put)
    return Draft(conversation, thoughts, tuple(slots))


def stand_ins(count: int, avoid: Sequence[str]) -> tuple[list[str], re.Pattern[str]]:
    """Small letters that no text holds, each other than the rest, and what finds them; group 1 is the number.

    The same for the same texts. Where those hold the common stem, others are drawn from a digest of them, which no text
    can foresee. A stem's first letter is not in the rest of it: so no stem can begin within another.
    """
    stem = STEM
    if any(stem in text for text in avoid):
        drawn = Random("\0".join(avoid).encode("utf-8", "surrogatepass"))
        while any(stem in text for text in avoid):
            stem = STEM + "".join(drawn.choices("bcdfghjklmnpqrstvxz", k=12))
    return [f"{stem}{_letters(i)}zq" for i in range(count)], re.compile(f"{stem}([a-z]{{{WIDTH}}})zq")


def number(letters: str) -> int:
    """What ``stand_ins`` wrote as letters."""
    value = 0
    for letter in letters:
        value = value * 26 + ascii_lowercase.index(letter)
    return value


def fixed_words(conversation: Conversation) -> Iterator[str]:
    """Words that have no slot: tools, names, ids, and the keys of arguments."""
    yield from _strings(conversation.tools)
    for message in conversation.messages:
        yield from (message.name, message.call_id)
        for call in message.tool_calls:
            yield from (call.name, call.id, *_keys(call.arguments))


def _messages(conversation: Conversation, thoughts: bool, put: Put) -> list[dict[str, Any]]:
    return [_message(message, i, thoughts, put) for i, message in enumerate(conversation.messages)]


def _message(message: Message, turn: int, thoughts: bool, put: Put) -> dict[str, Any]:
    words = message.content
    if thoughts and message.role == "assistant" and THOUGHT in words:
        head, _, said = words.rpartition(THOUGHT)
        before, tag, thought = head.rpartition(THINK)
        hidden = f"{_slot(before, turn, put, True)}{tag}{_slot(thought, turn, put, True)}"
        words = f"{hidden}{THOUGHT}{_slot(said, turn, put)}"
    else:
        words = _slot(words, turn, put)
    made: dict[str, Any] = {"role": message.role, "content": words}
    if message.tool_calls:
        made["tool_calls"] = [
            {
                "type": "function",
                **({"id": call.id} if call.id else {}),
                "function": {"name": call.name, "arguments": _leaves(call.arguments, turn, put)},
            }
            for call in message.tool_calls
        ]
    if message.name:
        made["name"] = message.name
    if message.call_id:
        made["tool_call_id"] = message.call_id
    return made


def _slot(words: str, turn: int, put: Put, thought: bool = False) -> str:
    core = words.strip()
    if not core:
        return words
    begin = words.index(core)
    return words[:begin] + put(core, turn, thought) + words[begin + len(core) :]


def _leaves(value: Any, turn: int, put: Put) -> Any:
    """The same value, with slots for its strings."""
    if isinstance(value, str):
        return _slot(value, turn, put)
    if isinstance(value, Mapping):
        return {key: _leaves(item, turn, put) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_leaves(item, turn, put) for item in value]
    return value


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield str(key)
            yield from _strings(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _strings(item)


def _keys(value: Any) -> Iterator[str]:
    if isinstance(value, Mapping):
        for key, item in value.items():
            yield str(key)
            yield from _keys(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _keys(item)


def _letters(value: int) -> str:
    letters = ""
    for _ in range(WIDTH):
        value, rest = divmod(value, 26)
        letters = ascii_lowercase[rest] + letters
    return letters
