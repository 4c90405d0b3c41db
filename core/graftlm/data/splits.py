"""The splits of a run: first counted and digested for the plan, later written for the worker."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from graftlm.contracts.conversation import Conversation
from graftlm.contracts.errors import DataError
from graftlm.contracts.plan import Split
from graftlm.contracts.specs import DataFormat

from .chosen_rows import Choice, Rows
from .columns import Columns
from .conversations import Reading, detect, read, refuse_misfit, strict
from .inputs import Inputs
from .longest import Longest
from .replay import Replay
from .rows import content, write_row
from .splitting import NAMES, RunningDigest, SplitName, SplitRule, fingerprint, membership


@dataclass(frozen=True, slots=True, kw_only=True)
class DataRequest:
    """Which files, how their columns are read, and which shares of ``data`` are kept from training.

    ``choice`` says which of the rows that are left are taken, and ``replay`` what is trained on beside them.
    """

    data: Inputs
    val_data: Inputs | None = None
    test_data: Inputs | None = None
    rule: SplitRule
    columns: Columns = field(default_factory=dict)
    choice: Choice = field(default_factory=Choice)
    replay: Replay | None = None

    @property
    def given(self) -> dict[SplitName, Inputs]:
        """Files by split, ``data`` first."""
        more: dict[SplitName, Inputs | None] = {"validation": self.val_data, "test": self.test_data}
        return {"train": self.data, **{name: inputs for name, inputs in more.items() if inputs is not None}}

    @property
    def effective_rule(self) -> SplitRule:
        """No share of DATA for a split that has a file of its own."""
        val, test = self.val_data is None, self.test_data is None
        return SplitRule(
            validation=self.rule.validation * val,
            test=self.rule.test * test,
            classes={name: (v * val, t * test) for name, (v, t) in self.rule.classes.items()},
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Survey:
    """What a pass over all rows found, wherever they lie (``Split.path`` is left open).

    ``capabilities`` are the test rows by capability, as (rows, digest); ``tools``, ``thoughts`` and ``documents`` count
    rows that have them (a replayed row is no reason to score by texts, or to reason). ``longest`` are the longest
    training rows as lines of JSON, or none where one is very long. ``replayed`` are the fingerprints of those training
    rows that are from elsewhere.
    """

    format: str
    splits: tuple[Split, ...]
    capabilities: Mapping[str, tuple[int, str]]
    tools: int = 0
    thoughts: int = 0
    documents: int = 0
    longest: tuple[str, ...] = ()
    replayed: tuple[int, ...] = ()


def rows_by_split(request: DataRequest, data_format: DataFormat) -> Iterator[tuple[SplitName, Conversation, bool]]:
    """Every row that is taken, with its split and whether it is replayed; those come last, as the order of training is
    drawn anyway. ``DataError`` with the first faults together.
    """
    trained = 0
    for name, conversation in request.choice.among(lambda: _rows(request, data_format), request.data.reference):
        trained += name == "train"
        yield name, conversation, False
    if request.replay is not None and trained:
        for conversation in request.replay.beside(trained):
            yield "train", conversation, True


def _rows(request: DataRequest, data_format: DataFormat) -> Rows:
    """Every row of the run's own data with its split."""
    reading, rule = Reading(data_format, request.columns), request.effective_rule
    for name, inputs in request.given.items():
        for conversation in strict(read(inputs, reading)):
            yield (membership(conversation, rule) if name == "train" else name), conversation


def survey(request: DataRequest, chosen: DataFormat | None, formats: Sequence[DataFormat]) -> Survey:
    """The format and the splits; ``DataError`` where there is nothing to train on, or test rows are trained on."""
    data_format = chosen or detect(request.data, formats, request.columns)
    for inputs in request.given.values():
        refuse_misfit(inputs, Reading(data_format, request.columns))
    found = {name: RunningDigest() for name in NAMES}
    capabilities: dict[str, RunningDigest] = {}
    tools = thoughts = documents = 0
    overlap = _Overlap(request)
    longest = Longest()
    for name, conversation, replayed in rows_by_split(request, data_format):
        line = content(conversation)
        found[name].add(line)
        overlap.add(name, conversation, replayed)
        if name == "train":
            longest.add(len(line), conversation)
        if name == "test":
            capabilities.setdefault(conversation.capability, RunningDigest()).add(line)
        tools += conversation.uses_tools
        documents += conversation.is_document and not replayed
        thoughts += conversation.has_thoughts and not replayed
    if not found["train"].rows:
        what = "has no records" if not any(d.rows for d in found.values()) else "leaves no rows to train on"
        raise DataError(f"{request.data.reference} {what}")
    for name, inputs in request.given.items():
        if not found[name].rows:
            what = "records" if request.choice.capability is None else f"rows of '{request.choice.capability}'"
            raise DataError(f"{inputs.reference} has no {what}")
    overlap.check()
    return Survey(
        format=data_format.name,
        splits=tuple(Split(name=n, path="", rows=d.rows, digest=d.digest) for n, d in found.items() if d.rows),
        capabilities={name: (d.rows, d.digest) for name, d in sorted(capabilities.items())},
        tools=tools,
        thoughts=thoughts,
        documents=documents,
        longest=longest.rows(),
        replayed=tuple(overlap.replayed),
    )


class _Overlap:
    """Rows that are kept from training and trained on too. One hash decides the splits of one file, so only files of
    their own, thresholds by class, or replayed rows can bring it about.
    """

    def __init__(self, request: DataRequest) -> None:
        self.replayed = array("Q")
        self._replay = request.replay
        self._possible = len(request.given) > 1 or bool(request.rule.classes) or request.replay is not None
        self._trained = array("Q")
        self._held: dict[int, str] = {}

    def add(self, name: SplitName, conversation: Conversation, replayed: bool) -> None:
        if not self._possible:
            return
        place = fingerprint(conversation)
        if name == "train":
            (self.replayed if replayed else self._trained).append(place)
        else:
            self._held.setdefault(place, f"{conversation.source} ({name})")

    def check(self) -> None:
        if leaked := self._leaked(self._trained):
            raise DataError(
                f"{len(leaked)} questions that are kept for validation or test are trained on too, the first at "
                f"{min(leaked)}: remove them from one side ('graftlm data check' lists them)"
            )

        if self._replay is not None and (leaked := self._leaked(self.replayed)):
            raise DataError(
                f"{len(leaked)} questions that are kept for validation or test are replayed from "
                f"{self._replay.inputs.reference}, the first at {min(leaked)}: remove them from one side"
            )

    def _leaked(self, trained: Iterable[int]) -> list[str]:
        """Where the questions stand that are kept from training and have one of these fingerprints."""
        return [self._held[place] for place in dict.fromkeys(p for p in trained if p in self._held)]


def write_splits(request: DataRequest, data_format: DataFormat, planned: Sequence[Split], folder: Path) -> None:
    """Write each split as ``NAME.jsonl``; ``DataError`` where the files changed since the plan."""
    folder.mkdir(parents=True, exist_ok=True)
    found = {name: RunningDigest() for name in NAMES}
    with ExitStack() as stack:
        files = {n: stack.enter_context((folder / f"{n}.jsonl").open("wb")) for n in NAMES}
        for name, conversation, _ in rows_by_split(request, data_format):
            found[name].add(content(conversation))
            files[name].write(write_row(conversation))
    if {n: d.digest for n, d in found.items() if d.rows} != {split.name: split.digest for split in planned}:
        replay = f" or {request.replay.inputs.reference}" if request.replay else ""
        raise DataError(f"{request.data.reference}{replay} changed while the run was being prepared: start again")
