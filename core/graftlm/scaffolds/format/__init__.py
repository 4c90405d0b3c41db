"""``acme``: records that hold a dialogue as pairs of a speaker and what is said."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from graftlm.api import Conversation, DataError, DataFormat, Message, Record, Role, hookimpl

SPEAKERS: Mapping[str, Role] = {"rules": "system", "client": "user", "agent": "assistant"}
"""Who speaks, and whose part it is for the model: it learns what the agent says."""


def recognises(record: Record) -> bool:
    """By the names of fields and their types only. No other format may recognise it too: users would have to choose."""
    return isinstance(record.get("dialogue"), list)


def parse(record: Record) -> Conversation:
    """``{"dialogue": [["client", "Is it open?"], ["agent", "Until six."]]}``, one turn a pair.

    The record may be damaged in any way. What cannot be used raises ``DataError`` with a sentence that says what to do;
    graftlm adds the file and the line. The record itself must stay as it is.
    """
    turns = record.get("dialogue")
    if not isinstance(turns, list) or not turns:
        raise DataError("'dialogue' must be a list of turns, with one at least")
    return Conversation(tuple(_message(number, turn) for number, turn in enumerate(turns, start=1)))


def _message(number: int, turn: Any) -> Message:
    if not isinstance(turn, list) or len(turn) != 2 or not all(isinstance(words, str) for words in turn):
        raise DataError(f'turn {number} must be a speaker and what is said, as ["client", "Is it open?"]')
    speaker, said = turn
    if speaker not in SPEAKERS:
        raise DataError(f"turn {number} is said by '{speaker:.40}', who is none of {', '.join(SPEAKERS)}")
    return Message(SPEAKERS[speaker], said)


def write(conversation: Conversation) -> Record:
    """The inverse, for ``graftlm data convert``: what is written reads back as it was, or is refused.

    Leave it out (``write=None``) where nobody needs it.
    """
    speakers = {role: speaker for speaker, role in SPEAKERS.items()}
    if conversation.uses_tools:
        raise DataError("acme has no form for tools: write it as openai")
    turns = []
    for message in conversation.messages:
        if message.role not in speakers:
            raise DataError(f"acme has no speaker for the role '{message.role}'")
        if message.train is not None or message.name:
            raise DataError("acme has no place for a turn's name, nor for whether it is trained: write it as openai")
        turns.append([speakers[message.role], message.content])
    return {"dialogue": turns}


@hookimpl
def graftlm_data_formats() -> Iterable[DataFormat]:
    yield DataFormat(
        name="acme",
        summary="a dialogue as pairs of a speaker and what is said",
        fields=("dialogue",),
        recognises=recognises,
        parse=parse,
        write=write,
        suite="graftlm_acme.conformance:AcmeSuite",
    )
