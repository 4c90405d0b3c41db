"""ChatGLM3's fine-tuning files: ``conversations`` of role and content, and tool turns that hold call and answer."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from graftlm.api import Conversation, DataError, DataFormat, Message, Record, ToolCall, hookimpl

from .fields import refuse_document
from .tools import arguments, bare, to_json
from .turns import Turn, chat_message, conversation_of, refuse_two_answers, string, trained, turns_in


def recognises(record: Record) -> bool:
    turns = record.get("conversations")
    if not isinstance(turns, list) or not turns:
        return False
    return isinstance(turns[0], Mapping) and "role" in turns[0] and "from" not in turns[0]


def parse(record: Record) -> Conversation:
    """A tool turn (name, parameters, observation) is a call, which belongs to the answer before it, and what the tool
    answered. A tool turn with ``content``, as OpenAI writes it, is the tool's answer alone.
    """
    messages: list[Message] = []
    for place, turn, speaker in turns_in(record, "conversations", "role", "content"):
        if speaker != "tool" or not {"observation", "parameters"} & turn.keys():
            messages.append(chat_message(place, turn, speaker))
            continue
        call, answer = _call_and_answer(turn, place)
        last = messages[-1] if messages else None
        if last is not None and last.role == "assistant" and not last.tool_calls:
            if last.train != call.train:
                raise DataError(f"{place} and the answer before it are one turn: give both the same 'loss'")
            messages[-1] = replace(last, tool_calls=call.tool_calls)
        else:
            messages.append(call)
        messages.append(answer)
    return conversation_of(record, messages)


def _call_and_answer(turn: Turn, place: str) -> tuple[Message, Message]:
    name, identity = string(turn, "name", place), string(turn, "id", place)
    if not name:
        raise DataError(f"{place} has no 'name': give the tool's")
    if "observation" not in turn:
        raise DataError(f"{place} has no 'observation': give what the tool answered")
    call = ToolCall(name, arguments(turn.get("parameters"), place), identity)
    seen = turn["observation"]  # as ChatGLM3 prepares it: whatever is no text becomes JSON
    answer = Message("tool", seen if isinstance(seen, str) else to_json(seen), name=name, call_id=identity)
    return Message("assistant", "", trained(turn, "assistant", place), (call,)), answer


def write(conversation: Conversation) -> Record:
    """The inverse of ``parse``, where a tool's answer bears the name of its call. The id of a call, which ChatGLM3
    lacks, is a field of its own.
    """
    refuse_document(conversation, "chatglm3")
    turns: list[dict[str, Any]] = []
    before: Message | None = None
    called: Message | None = None
    for message in conversation.messages:
        refuse_two_answers(before, message, "chatglm3")
        before = message
        if called is not None or message.role == "tool":
            turns.append(_tool_turn(called, message))
            called = None
            continue
        called = message if message.tool_calls else None
        if message.content or called is None:
            turns.append({"role": message.role, "content": message.content} | _more(message))
        elif message.name:
            raise DataError(f"chatglm3 has no name for an assistant that says nothing: leave '{message.name}' out")
    if called is not None:
        raise DataError("chatglm3 gives a call together with its answer, and the last call has none")
    tools = [bare(tool) for tool in conversation.tools]
    return ({"tools": tools} if tools else {}) | {"conversations": turns}


def _more(message: Message) -> dict[str, Any]:
    return ({} if message.train is None else {"loss": message.train}) | ({"name": message.name} if message.name else {})


def _tool_turn(called: Message | None, answer: Message) -> dict[str, Any]:
    if called is None or answer.role != "tool" or len(called.tool_calls) != 1:
        raise DataError("chatglm3 has one call of a tool at a time, followed by its answer: write it as openai")
    call = called.tool_calls[0]
    if answer.name not in ("", call.name) or answer.call_id not in ("", call.id):
        raise DataError(f"a tool's answer does not belong to the call of '{call.name}' before it")
    turn: dict[str, Any] = {"role": "tool", "name": call.name, "parameters": call.arguments}
    loss = {} if called.train is None else {"loss": called.train}
    return turn | {"observation": answer.content} | ({"id": call.id} if call.id else {}) | loss


@hookimpl
def graftlm_data_formats() -> Iterable[DataFormat]:
    yield DataFormat(
        name="chatglm3",
        summary="conversations of role/content (and tools)",
        aliases=("chatglm",),
        fields=("conversations", "tools"),
        recognises=recognises,
        parse=parse,
        write=write,
    )
