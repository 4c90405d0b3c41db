"""Plain text for continued pre-training: each record is a document."""

from __future__ import annotations

from collections.abc import Iterable

from graftlm.api import Conversation, DataError, DataFormat, Message, Record, hookimpl

from .documents import MARKER, is_text_alone
from .fields import text_there


def recognises(record: Record) -> bool:
    return is_text_alone(record) and not (isinstance(record["text"], str) and MARKER.search(record["text"]))


def parse(record: Record) -> Conversation:
    return Conversation((Message("document", text_there(record, "text")),))


def write(conversation: Conversation) -> Record:
    """The inverse of ``parse``, for documents."""
    if not conversation.is_document:
        turns = len(conversation.messages)
        raise DataError(f"text has documents, and this is a conversation of {turns} turns: write it as openai")
    document = conversation.messages[0].content
    if MARKER.search(document):
        raise DataError("the document holds '<HUMAN>:', which would make turns of it: leave it out")
    return {"text": document}


@hookimpl
def graftlm_data_formats() -> Iterable[DataFormat]:
    yield DataFormat(
        name="text",
        summary="text: documents for continued pre-training",
        fields=("text",),
        recognises=recognises,
        parse=parse,
        write=write,
        documents=True,
    )
