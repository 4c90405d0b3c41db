"""From records to conversations, through the data format that fits."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import islice, pairwise
from pathlib import Path

from graftlm.contracts.conversation import Conversation, Message
from graftlm.contracts.errors import DataError
from graftlm.contracts.specs import DataFormat

from .containers import read_records

LOOKED_AT = 20
"""Records that decide which format a file has."""


def detect(path: Path, formats: Sequence[DataFormat]) -> DataFormat:
    """The one format that recognises all of the first records; ``DataError`` names the candidates otherwise."""
    records = list(islice(read_records(path), LOOKED_AT))
    if not records:
        raise DataError(f"{path} has no records")
    for record, source in records:
        if not any(f.recognises(record) for f in formats):
            known = "; ".join(f"{f.name} ({f.summary})" for f in formats)
            fields = ", ".join(record) or "no fields"
            raise DataError(f"{source}: a record of no known format, with {fields}. Known formats: {known}")
    fitting = [f for f in formats if all(f.recognises(record) for record, _ in records)]
    if len(fitting) == 1:
        return fitting[0]
    if fitting:
        raise DataError(f"{path} fits several formats ({', '.join(f.name for f in fitting)}): choose one with --format")
    raise DataError(f"{path} mixes records of several formats: give one file a format")


def read_conversations(path: Path, data_format: DataFormat) -> Iterator[Conversation]:
    """Every row of a file; ``DataError`` as ``file:line: reason``."""
    for record, source in read_records(path):
        try:
            conversation = replace(data_format.parse(record), source=source)
            _check(conversation)
        except DataError as error:
            misfit = f"not a record of format '{data_format.name}' ({data_format.summary}): "
            raise DataError(f"{source}: {'' if data_format.recognises(record) else misfit}{error}") from None
        except (KeyError, TypeError, AttributeError) as error:
            raise DataError(f"{source}: not a record of format '{data_format.name}': {error!r}") from None
        yield conversation


def _check(conversation: Conversation) -> None:
    """What every conversation must be to be trained on."""
    turns = [m for m in conversation.messages if m.role != "system"]
    if not turns or turns[0].role != "user":
        raise DataError("the first turn must be the user's")
    for before, after in pairwise(turns):
        if before.role == after.role:
            raise DataError(f"two {after.role} turns follow each other")
    if conversation.messages[-1].role != "assistant":
        raise DataError("the last turn must be the assistant's")
    if not turns[-1].content.strip():
        raise DataError("the last answer is empty")
    for message in conversation.messages:
        try:
            message.content.encode()
        except UnicodeEncodeError:
            raise DataError("its text holds half a surrogate pair, which is no character") from None


def write_row(conversation: Conversation) -> str:
    """A conversation as one line of graftlm's own JSONL."""
    messages = [
        {"role": m.role, "content": m.content} | ({} if m.train is None else {"train": m.train})
        for m in conversation.messages
    ]
    return json.dumps({"messages": messages, "source": conversation.source}, ensure_ascii=False) + "\n"


def read_row(line: str) -> Conversation:
    """The inverse of ``write_row``."""
    row = json.loads(line)
    messages = tuple(Message(m["role"], m["content"], m.get("train")) for m in row["messages"])
    return Conversation(messages, row["source"])
