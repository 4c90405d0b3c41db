"""A file's splits as files of their own: the records as they are, by a rule that is kept beside them."""

from __future__ import annotations

from array import array
from collections import Counter
from contextlib import ExitStack
from pathlib import Path

from graftlm.contracts.conversation import Conversation
from graftlm.contracts.errors import DataError, UsageError

from .containers.writing import open_writer
from .conversations import Fault, Faults, Reading, read, read_both, strict
from .inputs import Inputs
from .splitting import NAMES, SplitName, SplitRule, class_of, fingerprint, membership, stratified

PARTED = "with an answer of another class: leave one of them out, or split without --stratify"


def choose_rule(inputs: Inputs, reading: Reading, validation: float, test: float, stratify: bool) -> SplitRule:
    """The rule of a first split; ``UsageError`` where the shares cannot be, or there are no classes to stratify by."""
    if not (0 <= validation <= 0.9 and 0 <= test <= 0.9 and validation + test < 1):
        raise UsageError("--val-split and --test-split must be between 0 and 0.9, and together less than 1")
    if not stratify:
        return SplitRule(validation=validation, test=test)
    rule = stratified(((fingerprint(row), class_of(row)) for row in strict(read(inputs, reading))), validation, test)
    if not rule.classes:
        raise UsageError(
            "--stratify is for answers that are few and repeated, and here every answer stands once (to one question: "
            "its repeats stay together)"
        )
    return rule


def write_split_files(inputs: Inputs, reading: Reading, rule: SplitRule, folder: Path) -> dict[str, Counter[str]]:
    """Write each split's records and count its rows by class; ``DataError`` where equal rows would be parted."""
    counts: dict[str, Counter[str]] = {name: Counter() for name in NAMES}
    faults = Faults()
    sides = Sides()
    with ExitStack() as stack:
        writers = {name: stack.enter_context(open_writer(folder / f"{name}.jsonl")) for name in NAMES}
        for row, record in read_both(inputs, reading):
            if not isinstance(row, Conversation):
                faults.add(row)
                continue
            name = membership(row, rule)
            if rule.classes:  # nothing else can part rows that are asked the same
                sides.add(fingerprint(row), name)
            label = class_of(row)
            counts[name][label if label in rule.classes else ""] += 1
            try:
                writers[name].write(record)
            except DataError as error:
                raise DataError(f"{row.source}: {error}") from None
        faults.check()
        if not any(counts.values()):
            raise DataError(f"{inputs.reference} has no records")
        if parted := sides.parted():
            _refuse_parted(inputs, reading, rule, parted)
    return counts


class Sides:
    """Which splits a fingerprint is in, at 8 bytes a row."""

    def __init__(self) -> None:
        self._parts: list[dict[SplitName, array[int]]] = [{} for _ in range(256)]

    def add(self, place: int, name: SplitName) -> None:
        self._parts[place >> 56].setdefault(name, array("Q")).append(place)

    def parted(self) -> set[int]:
        """The fingerprints in several splits; of each part of them, since a set takes ten times the room."""
        found: set[int] = set()
        for part in self._parts:
            seen: set[int] = set()
            for places in map(set, part.values()):
                found |= seen & places
                seen |= places
        return found


def _refuse_parted(inputs: Inputs, reading: Reading, rule: SplitRule, parted: set[int]) -> None:
    """``DataError`` with the rows that ask what one of another split does: a second look, which finds their places."""
    faults, first = Faults(), dict[int, SplitName]()
    for row in strict(read(inputs, reading)):
        place, name = fingerprint(row), membership(row, rule)
        if place in parted and first.setdefault(place, name) != name:
            faults.add(Fault(row.source, f"the same is asked in {first[place]}, {PARTED}"))
    faults.check()
    raise DataError(f"{inputs.reference} changed while it was read: start again")
