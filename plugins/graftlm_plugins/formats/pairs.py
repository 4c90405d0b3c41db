"""Plain pairs of a question and its answer, under the usual names."""

from __future__ import annotations

from collections.abc import Iterable

from graftlm.api import Conversation, DataError, DataFormat, Message, Record, hookimpl

from .fields import (
    BESIDE_TURNS,
    PAIRS,
    TOOLS,
    history,
    is_alpaca,
    one_pair,
    pairs_in,
    refuse,
    rounds,
    system_text,
    text,
    text_there,
)


def recognises(record: Record) -> bool:
    if is_alpaca(record):
        return False
    turns = isinstance(record.get("messages"), list) or isinstance(record.get("conversations"), list)
    return any(not (turns and pair in BESIDE_TURNS) for pair in pairs_in(record))


def parse(record: Record) -> Conversation:
    """``context`` (as Dolly has it), or the ``input`` of an instruction, follows the question on a new line;
    ``history`` holds earlier [question, answer] pairs, as ChatGLM's and ms-swift's files have them.
    """
    if is_alpaca(record):
        raise DataError("it has an instruction and an output, which is alpaca: choose --format alpaca")
    found = pairs_in(record)
    if not found:
        usual = ", ".join("/".join(pair) for pair in PAIRS)
        fields = ", ".join(record) or "no fields"
        raise DataError(f"no pair of text fields ({usual}) in a record with {fields}: name yours with --columns")
    asked, answered = pair = found[0]
    one_pair(record, pair)
    refuse(record, *TOOLS)
    question, answer, system = text_there(record, asked), text_there(record, answered), system_text(record)
    context = [text(record, "context")] + ([text(record, "input")] if asked == "instruction" else [])
    question = "\n".join(filter(None, [question, *context]))
    first = (Message("system", system),) if system else ()
    return Conversation((*first, *history(record), Message("user", question), Message("assistant", answer)))


def write(conversation: Conversation) -> Record:
    """The inverse of ``parse``, as ``input`` and ``output``: earlier rounds become ``history``."""
    system, (*earlier, (question, answer)) = rounds(conversation, "pairs")
    record: dict[str, object] = {"input": question, "output": answer}
    if system:
        record["system"] = system
    if earlier:
        record["history"] = [list(pair) for pair in earlier]
    return record


@hookimpl
def graftlm_data_formats() -> Iterable[DataFormat]:
    yield DataFormat(
        name="pairs",
        summary="input/output, prompt/completion, question/answer … (and system, history)",
        fields=(*dict.fromkeys(name for pair in PAIRS for name in pair), "system", "history", "context"),
        recognises=recognises,
        parse=parse,
        write=write,
    )
