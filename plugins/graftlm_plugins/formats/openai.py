"""OpenAI: ``messages`` of role and content, with tools, their calls and their answers."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from graftlm.api import Conversation, DataFormat, Message, Record, ToolCall, hookimpl

from .fields import refuse_document
from .tools import to_json
from .turns import chat_message, conversation_of, turns_in


def recognises(record: Record) -> bool:
    return isinstance(record.get("messages"), list)


def parse(record: Record) -> Conversation:
    """A thought beside the content (``reasoning_content``) goes before it, as ``<think>\\n…\\n</think>\\n\\n``."""
    messages = [chat_message(*turn) for turn in turns_in(record, "messages", "role", "content")]
    return conversation_of(record, messages)


def write(conversation: Conversation) -> Record:
    """The inverse of ``parse``: whether an answer is trained is its ``weight``, and thoughts stay in the content."""
    refuse_document(conversation, "openai")
    record: dict[str, Any] = {"messages": [_turn(message) for message in conversation.messages]}
    return record | ({"tools": list(conversation.tools)} if conversation.tools else {})


def _turn(message: Message) -> dict[str, Any]:
    turn: dict[str, Any] = {"role": message.role, "content": message.content}
    if message.name:
        turn["name"] = message.name
    if message.tool_calls:
        turn["tool_calls"] = [_call(call) for call in message.tool_calls]
    if message.call_id:
        turn["tool_call_id"] = message.call_id
    if message.train is not None:
        turn["weight"] = int(message.train)
    return turn


def _call(call: ToolCall) -> dict[str, Any]:
    function = {"name": call.name, "arguments": to_json(call.arguments)}
    return ({"id": call.id} if call.id else {}) | {"type": "function", "function": function}


@hookimpl
def graftlm_data_formats() -> Iterable[DataFormat]:
    yield DataFormat(
        name="openai",
        summary="messages of role/content (and tools)",
        fields=("messages", "tools"),
        recognises=recognises,
        parse=parse,
        write=write,
    )
