"""Qwen's tools, in Hermes' format: those on offer, an assistant's calls, and what the tools answered."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from graftlm.api import Message, Span, content, control, text

from .chatml import END, START

CALL = ("<tool_call>", "</tool_call>")
RESPONSE = ("<tool_response>", "</tool_response>")
"""Control tokens of Qwen3's tokenizers, plain text in Qwen2.5's."""


def offered(tools: Sequence[Mapping[str, Any]]) -> list[Span]:
    """What the system turn says of the tools: one line of JSON each."""
    spans = [
        text(
            "# Tools\n\nYou may call one or more functions to assist with the user query.\n\n"
            "You are provided with function signatures within <tools></tools> XML tags:\n<tools>"
        )
    ]
    for tool in tools:
        spans += [text("\n"), content(json.dumps(tool, ensure_ascii=False))]
    return [
        *spans,
        text("\n</tools>\n\nFor each function call, return a json object with function name and arguments within "),
        control(CALL[0]),
        control(CALL[1]),
        text(" XML tags:\n"),
        control(CALL[0]),
        text('\n{"name": <function-name>, "arguments": <args-json-object>}\n'),
        control(CALL[1]),
    ]


def called(message: Message, words: str) -> list[Span]:
    """``<tool_call>\\n{"name": "f", "arguments": {…}}\\n</tool_call>`` for each call, after the turn's ``words``."""
    trained = message.train is not False
    spans: list[Span] = []
    for call in message.tool_calls:
        spans += [Span("\n", "text", True, trained)] if spans or words else []
        spans += [
            Span(CALL[0], "control", True, trained),
            Span('\n{"name": "', "text", True, trained),
            Span(call.name, "content", True, trained),
            Span('", "arguments": ', "text", True, trained),
            Span(json.dumps(dict(call.arguments), ensure_ascii=False), "content", True, trained),
            Span("}\n", "text", True, trained),
            Span(CALL[1], "control", True, trained),
        ]
    return spans


def responded(messages: Sequence[Message], i: int, marked: bool) -> list[Span]:
    """The tool turn ``i``: a user turn that the tools in a row share. ``marked``: its tags are control tokens."""
    tag = control if marked else text
    first = i == 0 or messages[i - 1].role != "tool"
    last = i + 1 == len(messages) or messages[i + 1].role != "tool"
    return [
        *([control(START), text("user")] if first else []),
        text("\n"), tag(RESPONSE[0]), text("\n"), content(messages[i].content), text("\n"), tag(RESPONSE[1]),
        *([control(END), text("\n")] if last else []),
    ]  # fmt: skip
