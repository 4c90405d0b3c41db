"""Rows that might be trained on: which of a pool would address a gap."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from graftlm.contracts.errors import DataError
from graftlm.contracts.plan import Plan
from graftlm.contracts.specs import DataFormat
from graftlm.data.containers.writing import open_writer
from graftlm.data.conversations import Fault, Faults, Reading, read_both
from graftlm.data.inputs import Inputs
from graftlm.data.rows import read_row
from graftlm.data.splits import rows_by_split
from graftlm.data.splitting import class_of, fingerprint, normalised
from graftlm.planning.data_plan import data_request
from graftlm_registry.plugins import Registry

from .gap import Gap
from .need import Known, Needed, most_needed

SHARE, FEWEST = 0.1, 20
"""How many rows are suggested where nobody says: a tenth of those that can be, and no fewer than these."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A row of the pool that DATA does not hold. ``place`` is its number in the pool; ``prompt`` and ``wanted`` are
    shown.
    """

    place: int
    source: str
    words: str
    label: str
    prompt: str
    wanted: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Pool:
    """``rows`` were read; ``in_data`` of them stand in DATA already, and ``repeated`` were there before."""

    reference: str
    rows: int
    in_data: int
    repeated: int
    candidates: tuple[Candidate, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Suggested:
    """A chosen row: ``need`` is made of the failure rate of its class (None where answers are no classes) and of that
    around it. ``like`` is the source of the validation row that it is most like.
    """

    source: str
    place: int
    need: float
    of_class: float | None
    around: float
    like: str
    label: str
    prompt: str
    wanted: str


def fingerprints(plan: Plan, registry: Registry) -> frozenset[int]:
    """Of every row of DATA, in whichever split: by the pass that splits it, and of what is asked alone."""
    data_format = registry.get(DataFormat, plan.data.format)
    return frozenset(fingerprint(row) for _, row, _ in rows_by_split(data_request(plan.settings), data_format))


def drawn_splits(plan: Plan) -> tuple[str, ...]:
    """The splits that are a share of the training file, by a hash: rows that are added to it may land there."""
    train = plan.data.split("train")
    shares = {"validation": plan.data.val_split, "test": plan.data.test_split}
    return tuple(
        name
        for name, share in shares.items()
        if share > 0 or ((held := plan.data.split(name)) and train and held.path == train.path)
    )


def read_pool(inputs: Inputs, reading: Reading, taken: frozenset[int]) -> Pool:
    """``DataError`` with the first faults together, or where no row is left."""
    faults, seen = Faults(), set[int]()
    candidates: list[Candidate] = []
    rows = in_data = repeated = 0
    for place, (row, _) in enumerate(read_both(inputs, reading)):
        if isinstance(row, Fault):
            faults.add(row)
            continue
        if row.is_document:
            raise DataError(f"{row.source}: a text without turns asks nothing: a pool has prompts with right answers")
        rows += 1
        mark = fingerprint(row)
        if mark in taken:
            in_data += 1
        elif mark in seen:
            repeated += 1
        else:
            prompt = next((m.content for m in reversed(row.messages) if m.role == "user"), "")
            candidates.append(Candidate(
                place=place, source=row.source, words=normalised(row), label=class_of(row), prompt=prompt,
                wanted=row.answer,
            ))  # fmt: skip
        seen.add(mark)
    faults.check()
    if not candidates:
        raise DataError(
            f"{inputs.reference} holds nothing new: each of its {rows} rows asks what a row of DATA asks"
            if rows
            else f"{inputs.reference} has no records"
        )
    return Pool(
        reference=inputs.reference, rows=rows, in_data=in_data, repeated=repeated,
        candidates=tuple(candidates),
    )  # fmt: skip


def suggested(gap: Gap, pool: Pool, count: int | None) -> tuple[Suggested, ...]:
    """The rows of the pool that address the gap best; ``DataError`` where nothing is wrong."""
    if not gap.every.wrong:
        raise DataError(f"none of the {gap.every.n} validation rows is wrong: there is no gap that rows could address")
    asked = [row for row in gap.rows if row.kind != "too-long"]  # of what was not asked, nothing is known
    if not any(row.wrong for row in asked):
        wrong = "the wrong row is" if gap.every.wrong == 1 else f"the {gap.every.wrong} wrong rows are"
        raise DataError(f"{wrong} too long for the model: no rows could address that")
    lines = (Path(gap.folder) / "rows.jsonl").read_bytes().splitlines()
    known = [Known(words=normalised(read_row(lines[row.row])), label=row.label, wrong=row.wrong) for row in asked]
    wanted = count or max(FEWEST, round(SHARE * len(pool.candidates)))
    labelled = bool(gap.classes)
    rows = [(c.words, c.label if labelled else "") for c in pool.candidates]
    return tuple(
        _suggested(pool.candidates[needed.row], needed, asked[needed.like].source, labelled)
        for needed in most_needed(rows, known, wanted)
    )


def _suggested(row: Candidate, needed: Needed, like: str, labelled: bool) -> Suggested:
    return Suggested(
        source=row.source, place=row.place, need=needed.need, of_class=needed.of_class, around=needed.around,
        like=like, label=row.label if labelled else "", prompt=row.prompt, wanted=row.wanted,
    )  # fmt: skip


def write_suggested(inputs: Inputs, reading: Reading, chosen: Sequence[Suggested], out: Path) -> None:
    """The pool's own records, as they are, in the order in which they were chosen."""
    places = {row.place for row in chosen}
    records = {i: record for i, (_, record) in enumerate(read_both(inputs, reading)) if i in places}
    if len(records) < len(places):
        raise DataError(f"{inputs.reference} changed while it was read: start again")
    with open_writer(out) as writer:
        for row in chosen:
            try:
                writer.write(records[row.place])
            except DataError as error:
                raise DataError(f"{row.source}: {error}") from None
