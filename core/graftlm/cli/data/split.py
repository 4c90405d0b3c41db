"""``graftlm data split``."""

from __future__ import annotations

import shutil
from array import array
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from .reading import ReadingOptions, find_inputs, how_to_read, reading_options

if TYPE_CHECKING:
    from graftlm.data.conversations import Reading
    from graftlm.data.inputs import Inputs
    from graftlm.data.splitting import SplitName, SplitRule

RULE = "split.json"
FRESH = ".new"
"""Folder in --out where the files are written; one that was killed leaves it there."""
PARTED = "with an answer of another class: leave one of them out, or split without --stratify"


@click.command()
@click.argument("data")
@click.option("--out", required=True, type=click.Path(path_type=Path), help="Folder for the files and split.json.")
@click.option("--val-split", type=float, metavar="X", help="About this share is for validation. [default: 0.1]")
@click.option("--test-split", type=float, metavar="X", help="About this share is for the test. [default: 0.1]")
@click.option("--stratify", is_flag=True, help="Give each class of answers its shares, by thresholds of its own.")
@reading_options
def split(
    data: str, out: Path, val_split: float | None, test_split: float | None, stratify: bool,
    format: str, columns: str, split: str, offline: bool,
) -> None:  # fmt: skip
    """Write train.jsonl, validation.jsonl and test.jsonl, the records as they are; a split without rows has no file.

    A hash of a row's content decides where it goes, so rows that are added later move no old one. split.json keeps the
    thresholds: give the grown DATA and the same --out again, and it is split by the same ones.
    """
    from graftlm.contracts.errors import UsageError
    from graftlm.data.split_rule import read_rule, rule_json

    inputs = find_inputs(data, split, offline)
    if any(file.path.resolve().is_relative_to(out.resolve()) for file in inputs.files):
        raise UsageError(f"{data} lies in --out {out}, whose files are replaced: give another --out")
    reading = how_to_read(inputs, ReadingOptions(format, columns, split, offline))
    known = out / RULE
    again = known.is_file()
    if again:
        rule = read_rule(known)
        _refuse_another(rule, val_split, test_split, stratify, out)
    else:
        _refuse_full(out)
        rule = _rule(inputs, reading, val_split, test_split, stratify)
    with _fresh(out) as fresh:
        counts = _write(inputs, reading, rule, fresh)
        (fresh / RULE).write_bytes(rule_json(rule))
        for name in counts:
            if not counts[name]:
                (fresh / f"{name}.jsonl").unlink()
                (out / f"{name}.jsonl").unlink(missing_ok=True)
        for path in sorted(fresh.iterdir()):
            path.replace(out / path.name)
    click.echo(_report(counts, rule, out, again))


@contextmanager
def _fresh(out: Path) -> Iterator[Path]:
    """A folder to write in. Nothing of it is left, and no ``out`` that was not there, where something fails."""
    from graftlm.contracts.errors import DataError

    made = next((path for path in reversed((out, *out.parents)) if not path.exists()), None)
    fresh = out / FRESH
    shutil.rmtree(fresh, ignore_errors=True)
    try:
        fresh.mkdir(parents=True)
        yield fresh
    except BaseException as error:
        if made is not None:
            shutil.rmtree(made, ignore_errors=True)
        if isinstance(error, OSError):
            raise DataError(f"{out} cannot be written: {error.strerror or error}") from None
        raise
    finally:
        shutil.rmtree(fresh, ignore_errors=True)


def _refuse_full(out: Path) -> None:
    from graftlm.contracts.errors import UsageError

    if out.exists() and (not out.is_dir() or any(path.name != FRESH for path in out.iterdir())):
        raise UsageError(f"--out {out} is there already and holds no {RULE}: give a new folder")


def _refuse_another(rule: SplitRule, val: float | None, test: float | None, stratify: bool, out: Path) -> None:
    from graftlm.contracts.errors import UsageError

    other = [
        flag
        for flag, said, kept in (("--val-split", val, rule.validation), ("--test-split", test, rule.test))
        if said not in (None, kept)
    ]
    if stratify and not rule.classes:
        other.append("--stratify")
    if other:
        raise UsageError(
            f"{out / RULE} keeps how this data was split, and {' and '.join(other)} would split it otherwise: "
            "leave it out, or give a new --out"
        )


def _rule(inputs: Inputs, reading: Reading, val: float | None, test: float | None, stratify: bool) -> SplitRule:
    from graftlm.contracts.errors import UsageError
    from graftlm.data.conversations import read, strict
    from graftlm.data.splitting import SplitRule, class_of, fingerprint, stratified

    val, test = 0.1 if val is None else val, 0.1 if test is None else test
    if not (0 <= val <= 0.9 and 0 <= test <= 0.9 and val + test < 1):
        raise UsageError("--val-split and --test-split must be between 0 and 0.9, and together less than 1")
    if not stratify:
        return SplitRule(validation=val, test=test)
    rows = ((fingerprint(row), class_of(row)) for row in strict(read(inputs, reading)))
    rule = stratified(rows, val, test)
    if not rule.classes:
        raise UsageError("--stratify is for answers that are few and repeated, and here every answer stands once")
    return rule


def _write(inputs: Inputs, reading: Reading, rule: SplitRule, folder: Path) -> dict[str, Counter[str]]:
    """Write each split's records and count its rows by class; ``DataError`` where equal rows would be parted."""
    from contextlib import ExitStack

    from graftlm.contracts.conversation import Conversation
    from graftlm.contracts.errors import DataError
    from graftlm.data.containers.writing import open_writer
    from graftlm.data.conversations import Faults, read_both
    from graftlm.data.splitting import NAMES, class_of, fingerprint, membership

    counts: dict[str, Counter[str]] = {name: Counter() for name in NAMES}
    faults = Faults()
    sides = _Sides()
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


class _Sides:
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
    from graftlm.contracts.errors import DataError
    from graftlm.data.conversations import Fault, Faults, read, strict
    from graftlm.data.splitting import fingerprint, membership

    faults, first = Faults(), dict[int, str]()
    for row in strict(read(inputs, reading)):
        place, name = fingerprint(row), membership(row, rule)
        if place in parted and first.setdefault(place, name) != name:
            faults.add(Fault(row.source, f"the same is asked in {first[place]}, {PARTED}"))
    faults.check()
    raise DataError(f"{inputs.reference} changed while it was read: start again")


def _report(counts: dict[str, Counter[str]], rule: SplitRule, out: Path, again: bool) -> str:
    from graftlm.cli.tables import table

    whole = sum((Counter(c) for c in counts.values()), Counter[str]())
    total = whole.total()
    lines = [
        table([(n, str(c.total()), f"{c.total() / total:.1%}") for n, c in counts.items()], ("split", "rows", "share"))
    ]
    if rule.classes:
        shown = sorted((label for label in whole if label), key=lambda label: -whole[label])[:20]
        rows = [(label, *(str(counts[n][label]) for n in counts), str(whole[label])) for label in shown]
        lines += ["", table(rows, ("class", *counts, "rows"))]
        lines += [_imbalance(counts, whole, rule)] if shown else []
    how = "by the thresholds that were there" if again else "by a hash of each row's content"
    lines += ["", f"{total} rows written to {out}, split {how}"]
    return "\n".join(lines)


def _imbalance(counts: dict[str, Counter[str]], whole: Counter[str], rule: SplitRule) -> str:
    """The class whose share of a split is furthest from what was asked."""
    asked = {"validation": rule.validation, "test": rule.test}
    off = [
        (abs(counts[name][label] / rows - share), label, name, counts[name][label] / rows, share)
        for label, rows in whole.items()
        if label
        for name, share in asked.items()
    ]
    _, label, name, found, share = max(off)
    return f"\nfurthest from what was asked: {found:.1%} of class '{label}' are in {name} (asked: {share:.0%})"
