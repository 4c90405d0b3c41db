"""Conversations and damaged records: some that every format is tried on, and others made by hypothesis."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from copy import deepcopy
from typing import Any

from hypothesis import strategies as st

from graftlm.contracts.conversation import Conversation, Message, ToolCall
from graftlm.contracts.specs import Record

WORDS = st.one_of(
    st.text(st.characters(exclude_categories=["Cs"]), max_size=12),
    st.sampled_from(
        ["q", "an answer", "two\n\nlines", " x ", "<HUMAN>: y", "<think>\nz\n</think>\n\na", "[1]", "null"]
    ),
)
NAMES = st.sampled_from(["weather", "add", "x_1"])
JSON: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | WORDS,
    lambda values: st.lists(values, max_size=3) | st.dictionaries(WORDS, values, max_size=3),
    max_leaves=5,
)
FIELDS = (
    "instruction", "input", "output", "prompt", "completion", "question", "answer", "response", "text", "messages",
    "conversations", "role", "content", "from", "value", "system", "system_prompt", "history", "context", "tools",
    "functions", "tool_calls", "function_call", "function", "name", "arguments", "parameters", "observation",
    "tool_call_id", "id", "type", "train", "weight", "loss", "reasoning_content", "images", "label", "chosen",
    "rejected", "capability", "source",
)  # fmt: skip
VALUES = st.one_of(
    JSON,
    st.sampled_from(
        [None, "", 0, 1, True, [], {}, [[]], [{}], [None], {"type": "text"}, "tool", "assistant", "human", "[]", "{"]
    ),
    st.lists(st.dictionaries(st.sampled_from(FIELDS), JSON, max_size=4), max_size=3),
)


ODD: tuple[Any, ...] = (None, "", " ", "nobody", 0, 1.5, True, [], {}, [None], [[]], [{}], ["a", "b"])
"""What may stand where something else should."""
USUAL_CONVERSATIONS = tuple(
    Conversation(messages)
    for messages in (
        (Message("user", "q"), Message("assistant", "a")),
        (Message("system", "s"), Message("user", "q"), Message("assistant", "a"), Message("user", "again")),
        (Message("user", " q\n"), Message("assistant", "\n\na ")),
        (Message("user", ""), Message("assistant", "")),
        (Message("user", "q"), Message("assistant", "a", train=False)),
        (Message("user", "q"), Message("assistant", "a", train=True), Message("user", "q"), Message("assistant", "a")),
        (Message("document", " a text\n"),),
    )
)
"""With white space at every end, with nothing said, and with answers that are trained or not."""


def damaged(examples: Sequence[Record]) -> Iterator[Record]:
    """The examples with each of their values, at any depth, removed once, and replaced by each odd one."""
    for example in examples:
        for path in _paths(example):
            yield _put(example, path, _REMOVED)
            for odd in ODD:
                yield _put(example, path, odd)


_REMOVED = object()


def _paths(value: Any) -> Iterator[tuple[Any, ...]]:
    """Of the values in a value."""
    inside = value.items() if isinstance(value, Mapping) else enumerate(value) if isinstance(value, list) else ()
    for key, part in inside:
        yield (key,)
        yield from ((key, *rest) for rest in _paths(part))


def _put(example: Record, path: Sequence[Any], value: Any) -> Record:
    record: Any = dict(deepcopy(example))
    place = record
    for key in path[:-1]:
        place = place[key]
    if value is _REMOVED:
        del place[path[-1]]
    else:
        place[path[-1]] = deepcopy(value)
    made: Record = record
    return made


@st.composite
def conversations(draw: st.DrawFn) -> Conversation:
    """A document, or rounds of a question, perhaps calls of tools and their answers, and an answer."""
    if draw(st.integers(0, 9)) == 0:
        return Conversation((Message("document", draw(WORDS)),))
    messages = [Message("system", draw(WORDS))] if draw(st.booleans()) else []
    with_tools, with_train = draw(st.booleans()), draw(st.booleans())
    for _ in range(draw(st.integers(1, 3))):
        messages.append(Message("user", draw(WORDS)))
        train = draw(st.sampled_from([None, True, False])) if with_train else None
        if with_tools and draw(st.booleans()):
            messages += draw(_exchange(train))
        messages.append(Message("assistant", draw(WORDS), train))
    return Conversation(tuple(messages), tools=tuple(draw(st.lists(_tools(), max_size=2))) if with_tools else ())


@st.composite
def _exchange(draw: st.DrawFn, train: bool | None) -> list[Message]:
    """Calls, with or without ids, and what the tools answer, in their order."""
    numbered = draw(st.booleans())
    calls = tuple(
        ToolCall(draw(NAMES), draw(st.dictionaries(WORDS, JSON, max_size=2)), f"call_{i}" if numbered else "")
        for i in range(draw(st.integers(1, 2)))
    )
    said = draw(st.one_of(st.just(""), WORDS))
    answers = [Message("tool", draw(WORDS), name=call.name, call_id=call.id) for call in calls]
    return [Message("assistant", said, train, calls), *answers]


@st.composite
def _tools(draw: st.DrawFn) -> dict[str, Any]:
    function = {"name": draw(NAMES), "description": draw(WORDS), "parameters": draw(st.dictionaries(WORDS, JSON))}
    return {"type": "function", "function": function}


@st.composite
def mutated(draw: st.DrawFn, examples: Sequence[Record], known: Sequence[str] = ()) -> Record:
    """An example with up to three values replaced, removed or added, at any depth. ``known`` are names of fields."""
    record: dict[str, Any] = dict(deepcopy(draw(st.sampled_from(examples))))
    names = st.one_of(st.sampled_from([*FIELDS, *known]), WORDS)
    for _ in range(draw(st.integers(1, 3))):
        place = draw(st.sampled_from(_containers(record)))
        there = list(place) if isinstance(place, dict) else list(range(len(place)))
        value = deepcopy(draw(VALUES))
        how = draw(st.sampled_from(["replace", "remove", "add"])) if there else "add"
        if how == "add" and isinstance(place, list):
            place.insert(draw(st.integers(0, len(place))), value)
        elif how == "add":
            place[draw(names)] = value
        elif how == "remove":
            del place[draw(st.sampled_from(there))]
        else:
            place[draw(st.sampled_from(there))] = value
    return record


def _containers(value: Any) -> list[Any]:
    """The objects and lists in a value, itself first."""
    if isinstance(value, dict):
        return [value, *(inner for part in value.values() for inner in _containers(part))]
    if isinstance(value, list):
        return [value, *(inner for part in value for inner in _containers(part))]
    return []
