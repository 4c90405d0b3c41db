"""Turns that are there and say nothing, or otherwise than a template understands them."""

from __future__ import annotations

import re
from dataclasses import dataclass

from graftlm.contracts.conversation import Conversation, Message

from .places import Seen, Several
from .turns_as_text import turn_mark
from .wording import quoted

THINK, THOUGHT = "<think>", "</think>"
VISIBLE = re.compile(
    r"[^\s\x00-\x1f\x7f-\x9f\xad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e"
    r"\u2060-\u206f\u2800\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff9-\ufffb\U000e0000-\U000e0fff]"
)
"""A character that can be seen: no white space, no joiner, no filler, no mark of direction."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Oddities:
    """Rows with a question in which nothing can be seen (``empty_questions``), with a trained answer, or text, in which
    there are characters and none can be seen (``invisible_answers``), that call a tool which they do not declare
    (``undeclared_tools``), whose answer has words before its thought (``before_thought``), begins a thought that has no
    end (``unclosed_thoughts``) or has a thought in a thought, or several (``nested_thoughts``); and texts that look
    like turns (``turns_as_text``).
    """

    empty_questions: Several
    invisible_answers: Several
    undeclared_tools: Several
    before_thought: Several
    unclosed_thoughts: Several
    nested_thoughts: Several
    turns_as_text: Several


class OddityCounts:
    """Rows as they go by."""

    def __init__(self) -> None:
        self._seen: dict[str, Seen] = {name: Seen() for name in Oddities.__dataclass_fields__}

    def add(self, conversation: Conversation) -> None:
        kinds: set[str] = set()
        calls = False
        for message in conversation.messages:
            words = message.content
            if message.role == "assistant":
                calls = calls or bool(message.tool_calls)
                if "think>" in words:
                    kinds |= _about_thoughts(words)
                if not VISIBLE.search(words) and _is_invisible(message):
                    kinds.add("invisible_answers")
            elif message.role == "user":
                if not VISIBLE.search(words):
                    kinds.add("empty_questions")
            elif message.role == "document" and not VISIBLE.search(words):
                kinds.add("invisible_answers")
        for kind in kinds:
            self._seen[kind].add(conversation.source)
        if calls:
            self._add_calls(conversation)
        if conversation.is_document:
            mark = turn_mark(conversation.messages[0].content)
            if mark:
                self._seen["turns_as_text"].add(f"{conversation.source}: {quoted(mark)}")

    def _add_calls(self, conversation: Conversation) -> None:
        declared = {tool.get("function", tool).get("name") for tool in conversation.tools}
        called = {call.name: None for message in conversation.messages for call in message.tool_calls}
        missing = [quoted(name) for name in called if name not in declared]
        if missing:
            self._seen["undeclared_tools"].add(f"{conversation.source}: {', '.join(missing)}")

    def counted(self) -> Oddities:
        return Oddities(**{name: seen.counted() for name, seen in self._seen.items()})


def _is_invisible(message: Message) -> bool:
    """Characters, and none to be seen. Only white space is empty, which is told elsewhere."""
    return bool(message.content.strip()) and not message.tool_calls and message.train is not False


def _about_thoughts(words: str) -> set[str]:
    """What a template that separates thoughts would lose of an answer, or take for none."""
    opened, closed = words.count(THINK), words.count(THOUGHT)
    if not closed:
        return {"unclosed_thoughts"} if opened else set()
    kinds = {"nested_thoughts"} if opened > 1 or closed > 1 else set()
    begin = words.find(THINK)
    if 0 <= begin < words.find(THOUGHT) and words[:begin].strip():
        kinds.add("before_thought")
    return kinds
