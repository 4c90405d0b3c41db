"""Mistral's tools: those on offer, an assistant's calls, and what the tools answered."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from graftlm.api import DataError, Message, Span, content, control, text

TOOLS, RESULTS = ("[AVAILABLE_TOOLS]", "[/AVAILABLE_TOOLS]"), ("[TOOL_RESULTS]", "[/TOOL_RESULTS]")
CALLS, RESULT_CONTENT = "[TOOL_CALLS]", "[TOOL_CONTENT]"


def offered(tools: Sequence[Mapping[str, Any]], space: str) -> list[Span]:
    """``[AVAILABLE_TOOLS] [{"type": "function", …}][/AVAILABLE_TOOLS]``, before the last user turn."""
    return [control(TOOLS[0]), *_words(space, _json(list(tools))), control(TOOLS[1])]


def called(message: Message, space: str, version: int) -> list[Span]:
    """``[TOOL_CALLS] [{"name": "f", "arguments": {…}, "id": "a1b2c3d4e"}]``, all of it the assistant's answer."""
    if message.content and version < 7:
        raise DataError(
            "an assistant turn says something and calls a tool, which Mistral's templates before v7 cannot render: "
            "make it two turns, or choose another --template"
        )
    trained = message.train is not False
    calls = [{"name": c.name, "arguments": dict(c.arguments), "id": _id(c.id, c.name)} for c in message.tool_calls]
    spans = [Span(CALLS, "control", True, trained), Span(space, "text", True, trained)]
    return [*(s for s in spans if s.text), Span(_json(calls), "content", True, trained)]


def result(message: Message, space: str, version: int) -> list[Span]:
    """v3: ``[TOOL_RESULTS] {"content": 21, "call_id": "a1b2c3d4e"}[/TOOL_RESULTS]``; v7:
    ``[TOOL_RESULTS] a1b2c3d4e[TOOL_CONTENT] 21[/TOOL_RESULTS]``. JSON is written anew, as ``json.dumps`` has it.
    """
    call = _id(message.call_id, message.name or "a tool")
    words = message.content or "{}"
    value = _parsed(words)
    if version >= 7:
        said = words if isinstance(value, str) else _json(value)
        return [
            control(RESULTS[0]), *_words(space, call), control(RESULT_CONTENT), *_words(space, said),
            control(RESULTS[1]),
        ]  # fmt: skip
    return [control(RESULTS[0]), *_words(space, _json({"content": value, "call_id": call})), control(RESULTS[1])]


def _words(space: str, words: str) -> list[Span]:
    return [text(space), content(words)] if space else [content(words)]


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def _parsed(words: str) -> Any:
    """The value that JSON says, or the words themselves."""
    try:
        return json.loads(words)
    except (ValueError, RecursionError):
        return words


def _id(given: str, name: str) -> str:
    """Mistral's models know ids of nine letters or digits alone; ``DataError`` for others."""
    if not re.fullmatch(r"[A-Za-z0-9]{9}", given):
        raise DataError(
            f"Mistral's templates need tool call ids of 9 letters or digits, and a call of {name!r} "
            f"has {f'the id {given!r}' if given else 'none'}"
        )
    return given
