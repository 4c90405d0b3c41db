"""Plain pairs of a question and its answer, under the usual names."""

from __future__ import annotations

from collections.abc import Iterable

from graftlm.api import Conversation, DataError, DataFormat, Message, Record, hookimpl

NAMES = (("input", "output"), ("prompt", "completion"), ("instruction", "response"), ("question", "answer"))


def names(record: Record) -> tuple[str, str] | None:
    """The pair of field names that the record has; an alpaca record is none."""
    if "instruction" in record and "output" in record:
        return None
    return next((pair for pair in NAMES if all(isinstance(record.get(name), str) for name in pair)), None)


def recognises(record: Record) -> bool:
    return names(record) is not None


def parse(record: Record) -> Conversation:
    pair = names(record)
    if pair is None:
        usual = ", ".join("/".join(pair) for pair in NAMES)
        raise DataError(f"no pair of text fields ({usual}) in a record with {', '.join(record) or 'no fields'}")
    return Conversation((Message("user", record[pair[0]]), Message("assistant", record[pair[1]])))


@hookimpl
def graftlm_data_formats() -> Iterable[DataFormat]:
    yield DataFormat(
        name="pairs",
        summary="input/output, prompt/completion, instruction/response, question/answer",
        fields=tuple(name for pair in NAMES for name in pair),
        recognises=recognises,
        parse=parse,
    )
