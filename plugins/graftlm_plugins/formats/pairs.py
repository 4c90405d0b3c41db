"""Plain pairs of a question and its answer, under the usual names."""

from __future__ import annotations

from collections.abc import Iterable

from graftlm.api import Conversation, DataError, DataFormat, Message, Record, hookimpl

NAMES = (("input", "output"), ("prompt", "completion"), ("instruction", "response"), ("question", "answer"))


REFUSED = ("history", "tools", "functions", "images")
"""Fields that carry something which would be lost."""


def names(record: Record) -> tuple[str, str] | None:
    """The pair of field names that the record has; an alpaca record is none."""
    if "instruction" in record and "output" in record:
        return None
    return next((pair for pair in NAMES if all(isinstance(record.get(name), str) for name in pair)), None)


def recognises(record: Record) -> bool:
    return names(record) is not None


def parse(record: Record) -> Conversation:
    """``context`` (as Dolly has it) follows the question on a new line; ``system`` is the system turn."""
    pair = names(record)
    if pair is None:
        usual = ", ".join("/".join(pair) for pair in NAMES)
        raise DataError(f"no pair of text fields ({usual}) in a record with {', '.join(record) or 'no fields'}")
    for name in REFUSED:
        if record.get(name):
            raise DataError(f"'{name}' has no place in a pair: use a format of turns, or leave it out")
    system, context = record.get("system") or "", record.get("context") or ""
    if not (isinstance(system, str) and isinstance(context, str)):
        raise DataError("'system' and 'context' must be text")
    question = f"{record[pair[0]]}\n{context}" if context else record[pair[0]]
    first = (Message("system", system),) if system else ()
    return Conversation((*first, Message("user", question), Message("assistant", record[pair[1]])))


@hookimpl
def graftlm_data_formats() -> Iterable[DataFormat]:
    yield DataFormat(
        name="pairs",
        summary="input/output, prompt/completion, instruction/response, question/answer",
        fields=tuple(name for pair in NAMES for name in pair),
        recognises=recognises,
        parse=parse,
    )
