"""Alpaca: an instruction, perhaps an input, and the output."""

from __future__ import annotations

from collections.abc import Iterable

from graftlm.api import Conversation, DataFormat, Message, Record, hookimpl

from .fields import TOOLS, history, is_alpaca, one_pair, refuse, rounds, system_text, text


def recognises(record: Record) -> bool:
    return is_alpaca(record)


def parse(record: Record) -> Conversation:
    """``input`` follows the instruction on a new line; ``history`` holds earlier [question, answer] pairs."""
    refuse(record, *TOOLS)
    one_pair(record, ("instruction", "output"), ("input", "output"))
    system = system_text(record)
    messages = ([Message("system", system)] if system else []) + history(record)
    instruction, more = text(record, "instruction"), text(record, "input")
    question = f"{instruction}\n{more}" if instruction and more else instruction or more
    return Conversation((*messages, Message("user", question), Message("assistant", text(record, "output"))))


def write(conversation: Conversation) -> Record:
    """The inverse of ``parse``: earlier rounds become ``history``."""
    system, (*earlier, (question, answer)) = rounds(conversation, "alpaca")
    record: dict[str, object] = {"instruction": question, "input": "", "output": answer}
    if system:
        record["system"] = system
    if earlier:
        record["history"] = [list(pair) for pair in earlier]
    return record


@hookimpl
def graftlm_data_formats() -> Iterable[DataFormat]:
    yield DataFormat(
        name="alpaca",
        summary="instruction, input, output (and system, history)",
        fields=("instruction", "input", "output", "system", "history"),
        recognises=recognises,
        parse=parse,
        write=write,
    )
