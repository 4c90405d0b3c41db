"""Plain pairs of a question and its answer, under the usual names."""

from __future__ import annotations

from collections.abc import Iterable

from graftlm.api import Conversation, DataError, DataFormat, Message, Record, hookimpl

from .fields import (
    PAIRS,
    TOOLS,
    is_alpaca,
    one_pair,
    pairs_in,
    plain_turns,
    refuse,
    rounds,
    system_text,
    text,
    text_there,
)


def recognises(record: Record) -> bool:
    return bool(pairs_in(record)) and not is_alpaca(record)


def parse(record: Record) -> Conversation:
    """``context`` (as Dolly has it), or the ``input`` of an instruction, follows the question on a new line."""
    if is_alpaca(record):
        raise DataError("it has an instruction and an output, which is alpaca: choose --format alpaca")
    found = pairs_in(record)
    if not found:
        usual = ", ".join("/".join(pair) for pair in PAIRS)
        fields = ", ".join(record) or "no fields"
        raise DataError(f"no pair of text fields ({usual}) in a record with {fields}: name yours with --columns")
    asked, answered = pair = found[0]
    one_pair(record, pair)
    refuse(record, "history", *TOOLS)
    question, answer, system = text_there(record, asked), text_there(record, answered), system_text(record)
    context = [text(record, "context")] + ([text(record, "input")] if asked == "instruction" else [])
    question = "\n".join(filter(None, [question, *context]))
    first = (Message("system", system),) if system else ()
    return Conversation((*first, Message("user", question), Message("assistant", answer)))


def write(conversation: Conversation) -> Record:
    """The inverse of ``parse``, as ``input`` and ``output``."""
    turns = [message for message in plain_turns(conversation, "pairs") if message.role != "system"]
    if len(turns) > 2:
        raise DataError(f"pairs has one question and one answer, and this conversation has {len(turns)} turns")
    system, ((question, answer),) = rounds(conversation, "pairs")
    return {"input": question, "output": answer} | ({"system": system} if system else {})


@hookimpl
def graftlm_data_formats() -> Iterable[DataFormat]:
    yield DataFormat(
        name="pairs",
        summary="input/output, prompt/completion, instruction/response, question/answer",
        fields=tuple(name for pair in PAIRS for name in pair),
        recognises=recognises,
        parse=parse,
        write=write,
    )
