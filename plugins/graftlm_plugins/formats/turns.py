"""Lists of turns: ShareGPT (from/value) and OpenAI (role/content)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import partial
from typing import Any

from graftlm.api import Conversation, DataError, DataFormat, Message, Record, Role, hookimpl

SHAREGPT: Mapping[str, Role] = {
    "system": "system", "human": "user", "user": "user", "gpt": "assistant", "assistant": "assistant",
    "chatgpt": "assistant",
    "bing": "assistant", "bard": "assistant", "model": "assistant",
}  # fmt: skip
OPENAI: Mapping[str, Role] = {"system": "system", "developer": "system", "user": "user", "assistant": "assistant"}


def recognises(record: Record, field: str, speaker: str, words: str) -> bool:
    turns = record.get(field)
    if not (isinstance(turns, list) and turns and isinstance(turns[0], Mapping)):
        return False
    return speaker in turns[0] and words in turns[0]


def _message(turn: Any, number: int, speaker: str, words: str, roles: Mapping[str, Role]) -> Message:
    if not isinstance(turn, Mapping) or not isinstance(turn.get(speaker), str):
        raise DataError(f"turn {number} has no '{speaker}'")
    role = roles.get(turn[speaker].lower())
    if role is None:
        raise DataError(f"turn {number} has the role '{turn[speaker]}', which is none of {', '.join(roles)}")
    if turn.get("tool_calls") or turn.get("function_call"):
        raise DataError(f"turn {number} calls a tool, which no template here can render yet")
    said = turn.get(words)
    if isinstance(said, list) and said and all(isinstance(p, Mapping) and p.get("type") == "text" for p in said):
        said = "".join(str(part.get("text", "")) for part in said)
    if not isinstance(said, str):
        what = "images or other parts" if isinstance(said, list) else type(said).__name__
        raise DataError(f"turn {number} has {what} in '{words}', and only text is supported")
    train = turn.get("train")
    if train is not None and not isinstance(train, bool):
        raise DataError(f"turn {number} has a 'train' that is neither true nor false")
    return Message(role, said, train)


def parse(record: Record, field: str, speaker: str, words: str, roles: Mapping[str, Role]) -> Conversation:
    turns = record.get(field)
    if not isinstance(turns, list) or not turns:
        raise DataError(f"'{field}' must be a list of turns with '{speaker}' and '{words}'")
    for name in ("tools", "functions", "images"):
        if record.get(name):
            raise DataError(f"'{name}' is not supported yet: leave it out")
    messages = [_message(turn, i, speaker, words, roles) for i, turn in enumerate(turns, 1)]
    system = record.get("system")
    if isinstance(system, str) and system and messages[0].role != "system":
        messages.insert(0, Message("system", system))
    return Conversation(tuple(messages))


@hookimpl
def graftlm_data_formats() -> Iterable[DataFormat]:
    for name, summary, field, speaker, words, roles in (
        ("sharegpt", "conversations of from/value", "conversations", "from", "value", SHAREGPT),
        ("openai", "messages of role/content", "messages", "role", "content", OPENAI),
    ):
        yield DataFormat(
            name=name,
            summary=summary,
            fields=(field,),
            recognises=partial(recognises, field=field, speaker=speaker, words=words),
            parse=partial(parse, field=field, speaker=speaker, words=words, roles=roles),
        )
