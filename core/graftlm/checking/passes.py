"""The passes over the rows: one that reads everything, and one more where a model or near duplicates ask for it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from graftlm.contracts.conversation import Conversation
from graftlm.contracts.errors import DataError
from graftlm.contracts.specs import Record
from graftlm.data.conversations import Fault, Reading, read_both
from graftlm.data.inputs import Inputs
from graftlm.data.splits import DataRequest
from graftlm.data.splitting import NAMES, SplitName, class_of, fingerprint, split_at

from .bad_text import BadTexts
from .classes import ClassCounts
from .contents import ContentCounts
from .faults import FaultCounts
from .fields import FieldUse
from .near import Found, Mask, NearSearch
from .oddities import OddityCounts
from .places import Places
from .repeats import RowHashes
from .samples import Prompting, SampleCounts, Samples

EVERY = 500
"""Rows between two reports."""

Progress = Callable[[str, int, int], None]
"""Takes what is being done, how many rows of it are done, and of how many (0: nobody knows)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckRequest:
    """What to check, and how. ``near`` is the similarity from which rows are near duplicates; 0 does not look."""

    data: DataRequest
    reading: Reading
    near: float
    prompting: Prompting | None = None


Row = Conversation | Fault | DataError


def rows(request: CheckRequest) -> Iterator[tuple[SplitName, Row]]:
    """Every row with the split whose file it is in, and for each file that could not be read to its end the reason."""
    return ((name, row) for name, row, _ in rows_and_records(request))


def rows_and_records(request: CheckRequest) -> Iterator[tuple[SplitName, Row, Record]]:
    """The same with the record that each row was made of, empty where there is none."""
    for name, inputs in request.data.given.items():
        for file in inputs.files:
            try:
                for row, record in read_both(Inputs(inputs.reference, (file,)), request.reading):
                    yield name, row, record
            except DataError as error:
                yield name, error, {}


class FirstPass:
    """All that one look at each row tells."""

    def __init__(self, request: CheckRequest, progress: Progress) -> None:
        self.faults, self.contents, self.bad_text = FaultCounts(), ContentCounts(), BadTexts()
        self.oddities, self.fields = OddityCounts(), FieldUse(request.reading.data_format)
        self.classes = ClassCounts(request.prompting.train_on if request.prompting else "assistant")
        self.hashes, self.places = RowHashes(), Places()
        self.splits: dict[str, int] = dict.fromkeys(NAMES, 0)
        self.near = NearSearch(request.near) if request.near else None
        self._rule = request.data.effective_rule
        for name, row, record in rows_and_records(request):
            if isinstance(row, DataError):
                self.faults.add_end(str(row))
                continue
            self.fields.add(record, row)
            if isinstance(row, Fault):
                self.faults.add(row)
            else:
                self._add(name, row)
                if len(self.places) % EVERY == 0:
                    progress("reading", len(self.places), 0)

    def _add(self, name: SplitName, row: Conversation) -> None:
        number, asked = len(self.places), fingerprint(row)
        if name == "train":
            name = split_at(asked, class_of(row) if self._rule.classes else "", self._rule)
        self.places.add(row.source)
        self.splits[name] += 1
        self.contents.add(row)
        self.bad_text.add(number, row)
        self.oddities.add(row)
        self.classes.add(name, row)
        self.hashes.add(name, asked, row)
        if self.near:
            self.near.add(row)


def second_pass(
    request: CheckRequest, first: FirstPass, fresh: Mask, progress: Progress
) -> tuple[Samples | None, Found | None]:
    """Samples where there is a model, and near duplicates among the ``fresh`` rows where there are candidates."""
    prompting, near, total = request.prompting, first.near, len(first.places)
    samples = SampleCounts(prompting, first.contents.thoughts > 0) if prompting else None
    progress("looking for near duplicates", 0, 0)
    candidates = near.candidates(fresh) if near else None
    looked_for = candidates is not None and bool(candidates.any())
    if samples or looked_for:
        number = 0
        for _, row in rows(request):
            if not isinstance(row, Conversation):
                continue
            if number == total:
                raise _changed(request)
            if near and looked_for and candidates is not None and candidates[number]:
                near.keep(row)
            if samples:
                samples.add(row)
            number += 1
            if number % EVERY == 0:
                progress("encoding" if samples else "comparing", number, total)
        if number != total:
            raise _changed(request)
    progress("comparing", 0, 0)
    found = near.pairs(~first.hashes.of_split("train"), first.hashes.asked) if near else None
    return samples.counted() if samples else None, found


def _changed(request: CheckRequest) -> DataError:
    return DataError(f"{request.data.data.reference} changed while it was read: start again")
