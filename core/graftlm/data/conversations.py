"""From records to conversations, through the data format that fits."""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import islice, pairwise
from typing import Any

from graftlm.contracts.conversation import Conversation
from graftlm.contracts.errors import DataError
from graftlm.contracts.plan import EVALUATIONS
from graftlm.contracts.specs import DataFormat, Record

from .columns import Columns, mapped
from .containers import read_records
from .inputs import DataFile, Inputs
from .refusals import columns_meant, reason_against, refusal
from .rows import content

LOOKED_AT = 20
"""Records of each file that decide which format it has."""
SHOWN = 20
"""Faults that are told together."""
LONGEST_NAME = 64
TOO_DEEP = "a tool, or the call of one, is nested too deeply"


@dataclass(frozen=True, slots=True)
class Fault:
    """A row that cannot be used. ``source`` is ``file:line``."""

    source: str
    reason: str

    def __str__(self) -> str:
        return f"{self.source}: {self.reason}"


@dataclass(frozen=True, slots=True)
class Reading:
    """How records are read: their format, and the columns that are read as its fields."""

    data_format: DataFormat
    columns: Columns = field(default_factory=dict)


def detect(inputs: Inputs, formats: Sequence[DataFormat], columns: Columns) -> DataFormat:
    """The one format that recognises the first records of each file; ``DataError`` names the candidates otherwise.

    A record that cannot be read, or that no format may take, says nothing about the format: the reader reports it in
    its turn.
    """
    _refuse_columns(inputs, columns)
    records, refused = [], ""
    for record, source in (found for file in inputs.files for found in islice(_records(file, columns), LOOKED_AT)):
        if isinstance(record, DataError):
            continue
        if reason := refusal(record):
            refused = refused or f"{source}: {reason}"
            continue
        if not any(f.recognises(record) for f in formats):
            raise DataError(f"{source}: {_unknown(record, formats)}")
        records.append(record)
    if refused and not records:
        raise DataError(refused)
    if not records:
        return _nothing(inputs, columns, formats)
    fitting = [f for f in formats if all(f.recognises(record) for record in records)]
    if len(fitting) == 1:
        return fitting[0]
    if fitting:
        raise DataError(
            f"{inputs.reference} fits several formats ({', '.join(f.name for f in fitting)}): choose one with --format"
        )
    raise DataError(f"{inputs.reference} mixes records of several formats: give one file a format")


def _refuse_columns(inputs: Inputs, columns: Columns) -> None:
    """``DataError`` where the first record of a file lacks a column: one sentence, and not one a row."""
    for file in inputs.files if columns else ():
        found = read_records(file.path, file.label)
        record, source = next(((r, place) for r, place in found if not isinstance(r, DataError)), ({}, ""))
        if source and isinstance(missing := _mapped(record, columns), DataError):
            raise DataError(f"{source}: {missing}")


def _unknown(record: Record, formats: Sequence[DataFormat]) -> str:
    if reason := reason_against(record):
        return reason
    known = "; ".join(f"{f.name} ({f.summary})" for f in formats)
    unknown = f"a record of no known format, with {', '.join(record) or 'no fields'}"
    if columns := columns_meant(record, formats):
        return f"{unknown}: say what its columns are, such as with {columns}. Known formats: {known}"
    how = "--columns FIELD=COLUMN,… reads the columns of a table as the fields of a format"
    return f"{unknown}. Known formats: {known}. {how}"


def _nothing(inputs: Inputs, columns: Columns, formats: Sequence[DataFormat]) -> DataFormat:
    """No record could be read: the faults, if there are any, say why."""
    faults = [f for file in inputs.files for f in islice(_records(file, columns), LOOKED_AT)]
    if not faults:
        raise DataError(f"{inputs.reference} has no records")
    list(strict(Fault(source, str(reason)) for reason, source in faults))
    raise AssertionError("strict raises on a fault")


def _records(file: DataFile, columns: Columns) -> Iterator[tuple[Record | DataError, str]]:
    for record, source in read_records(file.path, file.label):
        yield (record if isinstance(record, DataError) else _mapped(record, columns)), source


def _mapped(record: Record, columns: Columns) -> Record | DataError:
    try:
        return mapped(record, columns)
    except DataError as error:
        return error


def read(inputs: Inputs, reading: Reading) -> Iterator[Conversation | Fault]:
    """Every row, sound or not. What ends a whole file is raised as a ``DataError``."""
    return (row for row, _ in read_both(inputs, reading))


def read_both(inputs: Inputs, reading: Reading) -> Iterator[tuple[Conversation | Fault, Record]]:
    """Every row with the record that it was made of (its columns mapped; empty where it could not be read)."""
    for file in inputs.files:
        for record, source in _records(file, reading.columns):
            if isinstance(record, DataError):
                yield Fault(source, str(record)), {}
                continue
            try:
                conversation = _parsed(record, source, reading.data_format)
            except DataError as error:
                yield Fault(source, str(error)), record
            else:
                yield conversation, record


def _parsed(record: Record, source: str, data_format: DataFormat) -> Conversation:
    if reason := refusal(record):
        raise DataError(reason)
    capability = _capability(record.get("capability"))
    try:
        parsed = data_format.parse(record)
        conversation = Conversation(parsed.messages, source, parsed.tools, capability)
        check(conversation)
    except DataError as error:
        if data_format.recognises(record):
            raise
        raise DataError(_misfit(data_format, str(error))) from None
    except (KeyError, TypeError, AttributeError, ValueError, IndexError) as error:
        raise DataError(f"not a record of format '{data_format.name}': {error!r}") from None
    return conversation


def _capability(said: Any) -> str:
    """It names a file and a score later. A table has the empty text where a row says none."""
    if said is None or said == "":
        return ""
    if not isinstance(said, str):
        raise DataError(f"'capability' must be text, not {type(said).__name__}")
    if len(said) > LONGEST_NAME or not _is_name(said):
        raise DataError(f"'capability' must be a name of 1 to {LONGEST_NAME} letters, digits, spaces and '.', '_', '-'")
    if said in EVALUATIONS:
        raise DataError(f"'capability' is '{said}', which means something else to graftlm: choose another name")
    return said


@lru_cache(maxsize=256)
def _is_name(said: str) -> bool:
    """Letters of any script, with the marks on them."""
    return bool(said.strip(". ")) and all(c in " ._-" or unicodedata.category(c)[0] in "LMN" for c in said)


def _misfit(data_format: DataFormat, reason: str) -> str:
    return f"not a record of format '{data_format.name}' ({data_format.summary}): {reason}"


def refuse_misfit(inputs: Inputs, reading: Reading) -> None:
    """``DataError`` where columns or a format that were named do not fit the first record, or no format may take any of
    the first ones: one sentence, and not one a row.
    """
    _refuse_columns(inputs, reading.columns)
    records = (found for file in inputs.files for found in _records(file, reading.columns))
    refused = ""
    for record, source in islice(records, LOOKED_AT):
        if isinstance(record, DataError):
            continue
        if reason := refusal(record):
            refused = refused or f"{source}: {reason}"
            continue
        if not reading.data_format.recognises(record):
            try:
                _parsed(record, source, reading.data_format)
            except DataError as error:
                raise DataError(f"{source}: {error}") from None
        return
    if refused:
        raise DataError(refused)


def strict(rows: Iterable[Conversation | Fault]) -> Iterator[Conversation]:
    """The rows; ``DataError`` with the first faults together as soon as there are twenty, or at the end."""
    faults = Faults()
    for row in rows:
        if isinstance(row, Conversation):
            yield row
        else:
            faults.add(row)
    faults.check()


class Faults:
    """Faults that are told together."""

    def __init__(self) -> None:
        self._seen: list[Fault] = []

    def add(self, fault: Fault) -> None:
        """Raises where there are enough of them."""
        self._seen.append(fault)
        if len(self._seen) == SHOWN:
            self.check(f"\n(the first {SHOWN}: 'graftlm data check' counts them all)")

    def check(self, more: str = "") -> None:
        """``DataError`` where there are any."""
        if self._seen:
            raise DataError("\n".join(map(str, self._seen)) + more)


def check(conversation: Conversation) -> None:
    """What every conversation must be to be trained on; ``DataError`` with the reason otherwise."""
    if conversation.tools:
        _refuse_what_json_lacks(conversation.tools)
    for message in conversation.messages:
        for call in message.tool_calls:
            _refuse_what_json_lacks(call.arguments)
    try:
        content(conversation)  # names and tools too
    except UnicodeEncodeError:
        raise DataError("its text holds half a surrogate pair, which is no character") from None
    except RecursionError:
        raise DataError(TOO_DEEP) from None
    if conversation.is_document:
        if not conversation.messages[0].content.strip():
            raise DataError("the text is empty")
        return
    turns = [m for m in conversation.messages if m.role != "system"]
    if any(m.role == "document" for m in turns):
        raise DataError("a text has no turns beside it")
    if not turns or turns[0].role != "user":
        raise DataError("the first turn must be the user's")
    for before, after in pairwise(turns):
        if before.role == after.role != "tool":
            raise DataError(f"two {after.role} turns follow each other")
        if after.role == "tool" and not (before.role == "tool" or before.tool_calls):
            raise DataError("a tool's answer follows a turn that called none")
    if conversation.messages[-1].role != "assistant":
        raise DataError("the last turn must be the assistant's")
    if not (turns[-1].content.strip() or turns[-1].tool_calls):
        raise DataError("the last answer is empty")


def _refuse_what_json_lacks(value: Any) -> None:
    """Tools and calls are JSON in every template and in our rows, where NaN would become null."""
    try:
        json.dumps(value, allow_nan=False)
    except TypeError:
        raise DataError("a tool, or the call of one, holds a value that JSON lacks") from None
    except ValueError:
        raise DataError("a tool, or the call of one, holds a number that is not finite, which JSON lacks") from None
    except RecursionError:
        raise DataError(TOO_DEEP) from None
