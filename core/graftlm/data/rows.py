"""graftlm's own rows: a conversation as one line of JSON, read and written by several processes."""

from __future__ import annotations

import msgspec

from graftlm.contracts.conversation import Conversation

_decoder = msgspec.json.Decoder(Conversation)
_encoder = msgspec.json.Encoder()


def write_row(conversation: Conversation) -> bytes:
    """A conversation as one line, its end included."""
    return _encoder.encode(conversation) + b"\n"


def read_row(line: bytes | str) -> Conversation:
    """The inverse of ``write_row``; fields that are not said have their defaults."""
    return _decoder.decode(line)


def content(conversation: Conversation) -> bytes:
    """A row's content without its place: moving a row to another line or file changes nothing."""
    return _encoder.encode([conversation.messages, conversation.tools, conversation.capability])
