"""What the formats have in common: fields of text, and pairs of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from graftlm.api import Conversation, DataError, Message, Record

PAIRS = (
    ("input", "output"),
    ("prompt", "completion"),
    ("instruction", "response"),
    ("question", "answer"),
    ("prompt", "response"),
    ("query", "response"),
    ("content", "summary"),
)
"""Names of a question and its answer."""
BESIDE_TURNS = PAIRS[4:]
"""Those that say nothing of a record that holds turns too: they may be its title, or a summary of it."""

TOOLS = ("tools", "functions")
KEPT = ("system", "system_prompt", "history", "context", *TOOLS)
"""What changes what is asked, and would be lost if --columns did not name it."""


def holds(record: Record, *names: str) -> bool:
    """Whether all of the fields are there; a table has null where a row lacks a field."""
    return all(record.get(name) is not None for name in names)


def is_alpaca(record: Record) -> bool:
    """``instruction`` and ``output``; where the instruction is null, ``input`` and ``output`` are a pair."""
    if "instruction" not in record or "output" not in record:
        return False
    if record["instruction"] is None:
        return record["output"] is not None and record.get("input") is None
    return True


def pairs_in(record: Record) -> list[tuple[str, str]]:
    """The pairs of names that the record holds; if none is complete, those of which it holds one."""
    named = [pair for pair in PAIRS if pair[0] in record and pair[1] in record]
    whole = [pair for pair in named if holds(record, *pair)]
    return whole or [pair for pair in named if any(holds(record, name) for name in pair)]


def one_pair(record: Record, mine: tuple[str, str], *taken: tuple[str, str]) -> None:
    """``DataError`` where fields other than ``mine``, and ``taken`` with them, hold a question and its answer."""
    others = [pair for pair in pairs_in(record) if pair not in (mine, *taken) and holds(record, *pair)]
    if not others:
        return
    lacking = [name for name in mine if name not in record]
    if lacking:
        first, (asked, answered) = " and no ".join(map(repr, lacking)), others[0]
        columns = columns_of(record, (mine[0], asked), (mine[1], answered))
        raise DataError(f"there is no {first}, and it has {asked}/{answered}: choose --format pairs, or {columns}")
    found = " and ".join("/".join(pair) for pair in (mine, *others))
    columns = columns_of(record, ("input", mine[0]), ("output", mine[1]))
    raise DataError(f"it has {found}: say which are the question and its answer, such as with {columns}")


def columns_of(record: Record, *named: tuple[str, str]) -> str:
    """``--columns`` that reads fields from columns, and keeps what else the record has to say."""
    columns = {column for _, column in named}
    kept = [(name, name) for name in KEPT if record.get(name) and name not in columns]
    return "--columns " + ",".join(f"{field}={column}" for field, column in (*named, *kept))


def kind(value: Any) -> str:
    """A value's type, in the words of JSON where Python has others."""
    return "null" if value is None else type(value).__name__


def text(record: Mapping[str, Any], name: str) -> str:
    """The text of a field, empty where it is missing or null; ``DataError`` where it is anything else."""
    value = record.get(name)
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    advice = ""
    if isinstance(value, int | float):
        advice = ": write it in quotes"
    elif isinstance(value, list) and value and isinstance(value[0], Mapping):
        advice = ": a list of turns belongs into 'messages'"
    raise DataError(f"'{name}' must be text, not {kind(value)}{advice}")


def text_there(record: Mapping[str, Any], name: str) -> str:
    """Like ``text``, where the field must be there."""
    if record.get(name) is None:
        raise DataError(f"'{name}' must be text, not null" if name in record else f"there is no '{name}'")
    return text(record, name)


def system_text(record: Record) -> str:
    """What a record says as ``system`` (or ``system_prompt``, as some files call it)."""
    system, prompt = text(record, "system"), text(record, "system_prompt")
    if system and prompt and system != prompt:
        raise DataError("'system' and 'system_prompt' differ: leave one out")
    return system or prompt


def history(record: Record) -> list[Message]:
    """The turns of ``history``, a list of earlier [question, answer] pairs; a table has the empty text for none."""
    given = record.get("history")
    if given is None or given == "":
        return []
    if not isinstance(given, list | tuple) or not all(
        isinstance(pair, list | tuple) and len(pair) == 2 and all(isinstance(turn, str) for turn in pair)
        for pair in given
    ):
        raise DataError("'history' must be a list of [question, answer] pairs")
    return [turn for question, answer in given for turn in (Message("user", question), Message("assistant", answer))]


def refuse(record: Record, *names: str) -> None:
    """``DataError`` where one of the fields holds something, which would be lost."""
    for name in names:
        if record.get(name):
            raise DataError(f"'{name}' has no place in this format: use a format of turns, or leave it out")


def refuse_document(conversation: Conversation, name: str) -> None:
    if any(message.role == "document" for message in conversation.messages):
        raise DataError(f"{name} has turns, and a document has none: write it as text")


def plain_turns(conversation: Conversation, name: str) -> Iterator[Message]:
    """The turns for a format that has words alone: ``DataError`` where there is more to a conversation."""
    refuse_document(conversation, name)
    if conversation.uses_tools:
        raise DataError(f"{name} has no tools, and this conversation uses them: write it as openai or sharegpt")
    for message in conversation.messages:
        if message.train is not None:
            raise DataError(f"{name} cannot say which turns are trained: write it as openai or sharegpt")
        if message.name:
            raise DataError(f"{name} has no names, and this conversation has '{message.name}': write it as openai")
        yield message


def rounds(conversation: Conversation, name: str) -> tuple[str, list[tuple[str, str]]]:
    """The system text, and each question with its answer; ``DataError`` for any other order of turns."""
    messages = list(plain_turns(conversation, name))
    system = messages.pop(0).content if messages and messages[0].role == "system" else None
    if system == "":
        raise DataError(f"{name} cannot say an empty system turn: leave the turn out")
    for number, message in enumerate(messages):
        wanted = ("user", "assistant")[number % 2]
        if message.role != wanted:
            raise DataError(
                f"{name} has questions, each with its answer: here is a {message.role} turn for a {wanted}'s"
            )
    if not messages or len(messages) % 2:
        raise DataError(f"{name} has questions, each with its answer: here the last question has none")
    said = [message.content for message in messages]
    return system or "", list(zip(said[::2], said[1::2], strict=True))
