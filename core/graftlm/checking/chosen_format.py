"""The format to check with, where not every one of the first records has it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import islice

from graftlm.contracts.conversation import Conversation
from graftlm.contracts.errors import DataError
from graftlm.contracts.specs import DataFormat, Record
from graftlm.data.columns import Columns, mapped
from graftlm.data.containers import read_records
from graftlm.data.conversations import LOOKED_AT, check, detect
from graftlm.data.inputs import DataFile, Inputs
from graftlm.data.refusals import reason_against, refusal


def format_for(inputs: Inputs, formats: Sequence[DataFormat], columns: Columns) -> DataFormat:
    """The format that fits, as ``graftlm train`` finds it. Where it would stop at an odd record, the one format that
    fits most of the first records of all files, and then takes no others: each is a fault, with its reason.

    ``DataError`` as from ``detect`` where there is no such format.
    """
    try:
        return detect(inputs, formats, columns)
    except DataError:
        first = [record for file in inputs.files for record in islice(_readable(file), LOOKED_AT)]
        if not first and _has_records(inputs):
            return _none()
        records = [record for record in _as_fields(first, columns) if not refusal(record)]
        single = Counter(names[0] for names in (_fitting(record, formats) for record in records) if len(names) == 1)
        name, count = single.most_common(1)[0] if single else ("", 0)
        if count * 2 <= len(records):
            raise
        return _taking_no_others(next(f for f in formats if f.name == name), formats)


def _readable(file: DataFile) -> Iterator[Record]:
    """Records that can be read, as far as the file can be."""
    try:
        for record, _ in read_records(file.path, file.label):
            if not isinstance(record, DataError):
                yield record
    except DataError:  # the pass over all rows tells it
        return


def _as_fields(records: Sequence[Record], columns: Columns) -> Iterator[Record]:
    for record in records:
        try:
            yield mapped(record, columns)
        except DataError:
            continue


def _has_records(inputs: Inputs) -> bool:
    """Whether there is anything to count, all of it broken."""
    try:
        return any(True for file in inputs.files for _ in read_records(file.path, file.label))
    except DataError:
        return False


def _fitting(record: Record, formats: Sequence[DataFormat]) -> list[str]:
    return [f.name for f in formats if f.recognises(record)]


def _none() -> DataFormat:
    """For data of which no record can be read."""

    def parse(record: Record) -> Conversation:
        raise DataError("a record of no known format")

    return DataFormat(name="unknown", summary="no record can be read", recognises=lambda record: False, parse=parse)


def _taking_no_others(chosen: DataFormat, formats: Sequence[DataFormat]) -> DataFormat:
    def parse(record: Record) -> Conversation:
        if chosen.recognises(record):
            return chosen.parse(record)
        others = _fitting(record, formats)
        if others:
            raise DataError(f"it fits format '{others[0]}': give one file a format")
        reason = reason_against(record)
        if reason:
            raise DataError(reason)
        fields = ", ".join(record) or "no fields"
        try:
            check(chosen.parse(record))  # says what is missing
        except DataError as error:
            raise DataError(f"{error} (it has {fields})") from None
        raise DataError(f"it has {fields}")

    return replace(chosen, parse=parse)
