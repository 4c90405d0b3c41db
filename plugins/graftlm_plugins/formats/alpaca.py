"""Alpaca: an instruction, perhaps an input, and the output."""

from __future__ import annotations

from collections.abc import Iterable

from graftlm.api import Conversation, DataError, DataFormat, Message, Record, hookimpl


def recognises(record: Record) -> bool:
    return isinstance(record.get("instruction"), str) and "output" in record


def parse(record: Record) -> Conversation:
    """``input`` follows the instruction on a new line; ``history`` holds earlier [question, answer] pairs."""
    said = {name: record.get(name) or "" for name in ("system", "instruction", "input", "output")}
    for name, words in said.items():
        if not isinstance(words, str):
            raise DataError(f"'{name}' must be text, not {type(words).__name__}")
    messages = [Message("system", said["system"])] if said["system"] else []
    for pair in record.get("history") or []:
        if not (isinstance(pair, list | tuple) and len(pair) == 2 and all(isinstance(turn, str) for turn in pair)):
            raise DataError("'history' must be a list of [question, answer] pairs")
        messages += [Message("user", pair[0]), Message("assistant", pair[1])]
    question = f"{said['instruction']}\n{said['input']}" if said["input"] else said["instruction"]
    return Conversation((*messages, Message("user", question), Message("assistant", said["output"])))


@hookimpl
def graftlm_data_formats() -> Iterable[DataFormat]:
    yield DataFormat(
        name="alpaca",
        summary="instruction, input, output (and system, history)",
        fields=("instruction", "input", "output", "system", "history"),
        recognises=recognises,
        parse=parse,
    )
