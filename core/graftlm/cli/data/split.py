"""``graftlm data split``."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from .reading import ReadingOptions, find_inputs, how_to_read, reading_options

if TYPE_CHECKING:
    from graftlm.data.splitting import SplitRule

RULE = "split.json"
FRESH = ".new"
"""Folder in --out where the files are written; one that was killed leaves it there."""


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
    from graftlm.data.split_files import choose_rule, write_split_files
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
        val, test = (0.1 if share is None else share for share in (val_split, test_split))
        rule = choose_rule(inputs, reading, val, test, stratify)
    with _fresh(out) as fresh:
        counts = write_split_files(inputs, reading, rule, fresh)
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
