"""``<HUMAN>:`` and ``<ASSISTANT>:`` before each turn, all of it in one ``text``.

The markers are literal, in any case, wherever they stand; white space around a turn is no part of it. A text before the
first ``<HUMAN>:`` is the system turn.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from graftlm.api import Conversation, DataError, DataFormat, Message, Record, Role, hookimpl

from .documents import MARKER, is_text_alone
from .fields import TOOLS, plain_turns, refuse, text_there

SPEAKER = re.compile(r"<(HUMAN|ASSISTANT)>:", re.IGNORECASE)


def recognises(record: Record) -> bool:
    return is_text_alone(record) and isinstance(record["text"], str) and MARKER.search(record["text"]) is not None


def parse(record: Record) -> Conversation:
    refuse(record, *TOOLS)
    before, *pieces = SPEAKER.split(text_there(record, "text"))
    if not pieces:
        raise DataError("'text' has no turns: put '<HUMAN>:' before each question and '<ASSISTANT>:' before its answer")
    messages = [Message("system", before.strip())] if before.strip() else []
    for speaker, words in zip(pieces[::2], pieces[1::2], strict=True):
        role: Role = "user" if speaker.upper() == "HUMAN" else "assistant"
        messages.append(Message(role, words.strip()))
    return Conversation(tuple(messages))


def write(conversation: Conversation) -> Record:
    """The inverse of ``parse``, one turn after the other, each from a new line on."""
    lines: list[str] = []
    for message in plain_turns(conversation, "human-assistant"):
        words = message.content
        if words != words.strip():
            raise DataError("human-assistant cannot keep white space around a turn: strip the turns, or write openai")
        if SPEAKER.search(words):
            raise DataError(
                "a turn holds '<HUMAN>:' or '<ASSISTANT>:', which would make turns of it: write it as openai"
            )
        if message.role == "system" and (lines or not words):
            raise DataError("human-assistant has one system turn, before the others, and it is not empty")
        marker = {"user": "<HUMAN>: ", "assistant": "<ASSISTANT>: "}.get(message.role, "")
        lines.append(marker + words)
    if not any(message.role == "user" for message in conversation.messages):
        raise DataError("human-assistant needs a user turn, and this conversation has none")
    return {"text": "\n".join(lines)}


@hookimpl
def graftlm_data_formats() -> Iterable[DataFormat]:
    yield DataFormat(
        name="human-assistant",
        summary="text of <HUMAN>: and <ASSISTANT>: turns",
        fields=("text",),
        recognises=recognises,
        parse=parse,
        write=write,
    )
