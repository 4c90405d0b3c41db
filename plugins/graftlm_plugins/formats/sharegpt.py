"""ShareGPT: ``conversations`` of from and value. Qwen's own fine-tuning files are that, of user and assistant."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from graftlm.api import Conversation, DataError, DataFormat, Message, Record, Role, ToolCall, hookimpl

from .fields import refuse_document
from .tools import bare, call_in, from_json, to_json
from .turns import Turn, conversation_of, refuse_two_answers, role_of, string, trained, turns_in, words_of

ROLES: Mapping[str, Role] = {
    "system": "system",
    "human": "user", "user": "user", "prompter": "user",
    "gpt": "assistant", "assistant": "assistant", "chatgpt": "assistant", "bing": "assistant", "bard": "assistant",
    "model": "assistant", "bot": "assistant",
    "function_call": "assistant", "tool_call": "assistant",
    "observation": "tool", "tool": "tool", "function_response": "tool", "tool_response": "tool",
}  # fmt: skip
CALLS = ("function_call", "tool_call")
SPEAKERS: Mapping[str, str] = {"system": "system", "user": "human", "assistant": "gpt", "tool": "observation"}


def recognises(record: Record) -> bool:
    """A list of turns that does not say ``role``: those are ChatGLM3's."""
    turns = record.get("conversations")
    if not isinstance(turns, list):
        return False
    first = turns[0] if turns else None
    return not isinstance(first, Mapping) or "from" in first or "role" not in first


def parse(record: Record) -> Conversation:
    """A call of tools is a turn of its own, with the JSON of the call, or of a list of calls, as its value; it belongs
    to the answer before it, where there is one.
    """
    messages: list[Message] = []
    for place, turn, speaker in turns_in(record, "conversations", "from", "value"):
        role = role_of(speaker, ROLES, place)
        message = _call_message(turn, place) if speaker in CALLS else _message(turn, role, place)
        last = messages[-1] if messages else None
        if speaker in CALLS and last is not None and last.role == "assistant":
            if last.train != message.train:
                raise DataError(f"{place} and the answer before it are one turn: train both or none")
            messages[-1] = replace(last, tool_calls=(*last.tool_calls, *message.tool_calls))
        else:
            messages.append(message)
    return conversation_of(record, messages)


def _message(turn: Turn, role: Role, place: str) -> Message:
    said, train, name = words_of(turn, "value", place), trained(turn, role, place), string(turn, "name", place)
    return Message(role, said, train, (), name, string(turn, "tool_call_id", place) if role == "tool" else "")


def _call_message(turn: Turn, place: str) -> Message:
    given = turn.get("value")
    if isinstance(given, str):
        given = from_json(given, f"{place} calls a tool, and its 'value'")
    calls = tuple(
        call_in(call, f"the tool call of {place}") for call in (given if isinstance(given, list) else [given])
    )
    if not calls:
        raise DataError(f"{place} calls no tool: give the JSON of a call in 'value', or leave the turn out")
    return Message("assistant", "", trained(turn, "assistant", place), calls, string(turn, "name", place))


def write(conversation: Conversation) -> Record:
    """The inverse of ``parse``, of human and gpt. Ids and names, which ShareGPT lacks, are fields of their own."""
    refuse_document(conversation, "sharegpt")
    turns: list[dict[str, Any]] = []
    before: Message | None = None
    for message in conversation.messages:
        refuse_two_answers(before, message, "sharegpt")
        before = message
        more: dict[str, Any] = {} if message.train is None else {"train": message.train}
        if message.name:
            more["name"] = message.name
        if message.call_id:
            more["tool_call_id"] = message.call_id
        if message.content or not message.tool_calls:
            turns.append({"from": SPEAKERS[message.role], "value": message.content} | more)
        if message.tool_calls:
            calls = [_call(call) for call in message.tool_calls]
            turns.append({"from": "function_call", "value": to_json(calls if len(calls) > 1 else calls[0])} | more)
    record: dict[str, Any] = {"conversations": turns}
    return record | ({"tools": to_json([bare(tool) for tool in conversation.tools])} if conversation.tools else {})


def _call(call: ToolCall) -> dict[str, Any]:
    return {"name": call.name, "arguments": call.arguments} | ({"id": call.id} if call.id else {})


@hookimpl
def graftlm_data_formats() -> Iterable[DataFormat]:
    yield DataFormat(
        name="sharegpt",
        summary="conversations of from/value (and system, tools)",
        aliases=("qwen",),
        fields=("conversations", "system", "tools"),
        recognises=recognises,
        parse=parse,
        write=write,
    )
