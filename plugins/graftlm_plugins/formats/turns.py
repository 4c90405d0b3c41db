"""One turn of a list of turns, whatever the list calls its speaker and its words."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from graftlm.api import Conversation, DataError, Message, Record, Role, ToolCall

from .fields import kind, system_text
from .tools import call_in, tools_in

CHAT: Mapping[str, Role] = {
    "system": "system", "developer": "system", "user": "user", "assistant": "assistant", "tool": "tool",
    "function": "tool",
}  # fmt: skip
THOUGHTS = ("reasoning_content", "reasoning", "thinking")
Turn = Mapping[str, Any]


def turns_in(record: Record, field: str, speaker: str, words: str) -> Iterator[tuple[str, Turn, str]]:
    """What to call each turn, the turn, and who speaks, in lower case."""
    turns = record.get(field)
    if not isinstance(turns, list) or not turns:
        raise DataError(f"'{field}' must be a list of turns with '{speaker}' and '{words}'")
    for number, turn in enumerate(turns, 1):
        if not isinstance(turn, Mapping) or not isinstance(turn.get(speaker), str):
            raise DataError(f"turn {number} has no '{speaker}': each turn needs '{speaker}' and '{words}'")
        yield f"turn {number}", turn, turn[speaker].lower()


def conversation_of(record: Record, messages: list[Message]) -> Conversation:
    """The turns with the record's own system text and its tools."""
    system = system_text(record)
    if system and messages[0].role != "system":
        messages = [Message("system", system), *messages]
    elif system and messages[0].content != system:
        raise DataError("the record's system text and its system turn differ: leave one out")
    return Conversation(tuple(messages), tools=tools_in(record))


def role_of(speaker: str, roles: Mapping[str, Role], place: str) -> Role:
    role = roles.get(speaker)
    if role is None:
        raise DataError(f"{place} has the role '{speaker:.40}', which is none of {', '.join(roles)}")
    return role


def words_of(turn: Turn, field: str, place: str) -> str:
    """What is said: text, or a list of parts that are text."""
    said = turn.get(field)
    if isinstance(said, list) and said:
        return "".join(_part(part, field, place) for part in said)
    if isinstance(said, str):
        return said
    if said is None:
        raise DataError(f"{place} has no '{field}': give its text")
    advice = ": write it in quotes" if isinstance(said, int | float) else ""
    raise DataError(f"{place} has {kind(said)} in '{field}', and only text is supported{advice}")


def _part(part: Any, field: str, place: str) -> str:
    if isinstance(part, Mapping) and part.get("type") == "text" and isinstance(part.get("text"), str):
        words: str = part["text"]
        return words
    what = part.get("type") if isinstance(part, Mapping) else None
    named = f"a part of the type '{what}'" if isinstance(what, str) and what != "text" else "a part without text"
    raise DataError(f"{place} has {named} in '{field}', and only text is supported: leave the record out")


def trained(turn: Turn, role: Role, place: str) -> bool | None:
    """Whether an answer is trained: ``train``, OpenAI's ``weight`` or ChatGLM3's ``loss``."""
    said: dict[str, bool] = {}
    for name in ("train", "loss", "weight"):
        value = turn.get(name)
        if value is None:
            continue
        if name == "weight":
            if not isinstance(value, int | float) or value not in (0, 1):
                raise DataError(f"{place} has a 'weight' that is neither 0 nor 1")
        elif not isinstance(value, bool):
            raise DataError(f"{place} has a '{name}' that is neither true nor false")
        said[name] = bool(value)
    if len(set(said.values())) > 1:
        raise DataError(f"{place} says two things in {' and '.join(map(repr, said))}: leave one out")
    wanted = next(iter(said.values()), None)
    if role == "assistant":
        return wanted
    if wanted:
        raise DataError(f"{place} asks that words of the role '{role}' are trained, and only an assistant's can be")
    return None


def string(turn: Turn, name: str, place: str) -> str:
    """A name or an id, empty where there is none."""
    value = turn.get(name)
    if value is not None and not isinstance(value, str):
        raise DataError(f"{place} has {kind(value)} in '{name}': write it as text")
    return value or ""


def chat_message(place: str, turn: Turn, speaker: str) -> Message:
    """A turn of ``role`` and ``content``, as OpenAI writes it, with calls of tools, their answers, and thoughts."""
    role = role_of(speaker, CHAT, place)
    calls, thought = _calls(turn, place), _thought(turn, place)
    if role != "assistant" and (calls or thought):
        raise DataError(f"{place} is the {speaker}'s, and only an assistant can {'call tools' if calls else 'think'}")
    words = "" if calls and turn.get("content") in (None, []) else words_of(turn, "content", place)
    if thought and "<think>" in words:
        raise DataError(f"{place} has its thought in 'content' and beside it: leave one out")
    return Message(
        role,
        f"<think>\n{thought}\n</think>\n\n{words}" if thought else words,
        trained(turn, role, place),
        calls,
        string(turn, "name", place),
        string(turn, "tool_call_id", place) if role == "tool" else "",
    )


def _calls(turn: Turn, place: str) -> tuple[ToolCall, ...]:
    several, single = turn.get("tool_calls") or [], turn.get("function_call")
    if not isinstance(several, list):
        raise DataError(f"{place} has 'tool_calls' that are {kind(several)}: write them as a list")
    if several and single:
        raise DataError(f"{place} has 'tool_calls' and 'function_call': leave one out")
    return tuple(call_in(call, f"a tool call of {place}") for call in (several or ([single] if single else [])))


def _thought(turn: Turn, place: str) -> str:
    found = {thought for name in THOUGHTS if (thought := string(turn, name, place).strip("\n")).strip()}
    if len(found) > 1:
        raise DataError(f"{place} has different thoughts in {' and '.join(map(repr, THOUGHTS))}: leave one")
    return found.pop() if found else ""


def refuse_two_answers(before: Message | None, message: Message, name: str) -> None:
    """For formats that give an answer and the call that follows it as turns of their own."""
    if before is not None and before.role == message.role == "assistant":
        raise DataError(f"{name} would make one turn of two assistant turns that follow each other")
