"""Results: one JSON file a run, written whole and never changed."""

from __future__ import annotations

import fcntl
import os
import re
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from graftlm.contracts.errors import StoreError, UsageError
from graftlm.contracts.outcome import Change, Effective, MemoryUse, Proof, Score
from graftlm.contracts.plan import Plan
from graftlm.contracts.serial import from_json, to_json
from graftlm_registry.adapters.durable import create_exclusively
from graftlm_registry.home import beside

T = TypeVar("T")

FORM = 1
"""Of the files; a reader refuses a later one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StepFigures:
    """One optimizer step: mean loss in nats a trained token, gradient norm (None where it overflowed in fp16, and the
    step was skipped), seconds, real and trained tokens, and the floating-point operations that its samples are (0 where
    the model's shape is not known).
    """

    loss: float
    gradient_norm: float | None
    seconds: float
    tokens: int
    trained: int
    flops: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Inputs:
    """Digests of what the run worked on: encoded ids and labels, the order of samples, the adapter's first weights."""

    ids: str
    labels: str
    order: str
    initial: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RunResult:
    """One run of a cell. A failed one has an ``error``, and what was known until then.

    ``machine`` describes hardware and system, ``git`` the checkout that graftlm ran from, or is empty.
    ``first_step_seconds`` count from the start of the training process to the end of its first step, ``wall_seconds``
    are those of the whole run with all its processes. ``adapter_bytes`` are those of the staged files. ``answers`` are
    greedy ones after training, where the round compares them. ``energy`` is in joules, for the training loop.
    """

    cell: str
    round: int
    finished: str
    settings: Mapping[str, Any]
    plan: Plan
    machine: Mapping[str, str]
    git: str = ""
    form: int = FORM
    error: str = ""
    inputs: Inputs | None = None
    effective: Effective | None = None
    steps: tuple[StepFigures, ...] = ()
    validation: tuple[tuple[int, float], ...] = ()
    first_step_seconds: float = 0.0
    training_seconds: float = 0.0
    wall_seconds: float = 0.0
    memory: MemoryUse | None = None
    energy: float | None = None
    adapter_bytes: int = 0
    proof: Proof | None = None
    scores: tuple[Score, ...] = ()
    answers: tuple[str, ...] = ()
    rate: float = 0.0
    """Operations a second that the device reached in matrix products of this precision."""
    changes: tuple[Change, ...] = ()
    adapter: str = ""
    """Where a comparison judges: the kept adapter, as ``name@version``."""
    samples: str = ""
    """The folder of the per-sample files, from the comparison's own."""


@dataclass(frozen=True, slots=True)
class _Formed:
    form: int


def read_file(path: Path, kind: type[T]) -> T:
    """``GraftlmError`` where it is of a later form, whatever else may be in it then, or cannot be read."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise StoreError(f"{path} cannot be read: {error.strerror}") from None
    if from_json(data, _Formed, str(path)).form > FORM:
        raise StoreError(f"{path} was written by a later graftlm: use that one")
    return from_json(data, kind, str(path))


class ResultFolder:
    """A comparison's folder: ``suite.json``, ``runs/`` with the results, ``logs/`` of failed runs, ``samples/`` of what
    is judged.
    """

    def __init__(self, root: Path) -> None:
        self.root, self.suite = root, root / "suite.json"
        self._runs, self.logs, self.samples = root / "runs", root / "logs", root / "samples"

    def make(self) -> None:
        """``StoreError`` where it cannot be written."""
        try:
            self._runs.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StoreError(f"{self.root} cannot be written: {error.strerror}") from None

    @contextmanager
    def alone(self) -> Iterator[None]:
        """``UsageError`` where another process has it. One that was killed has let go."""
        descriptor = os.open(self._runs, os.O_RDONLY)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            raise UsageError(f"another bench is running in {self.root}: let it end, or give another --out") from None
        except OSError:
            pass  # a file system without locks
        try:
            yield
        finally:
            os.close(descriptor)

    def keep(self, slug: str, result: RunResult) -> Path:
        """On disk before it returns: what is finished is never lost."""
        self.make()
        stem = f"{slug}.r{result.round}" + (f".failed-{self._failures(slug, result.round) + 1}" if result.error else "")
        path = self._runs / f"{stem}.json"
        try:
            create_exclusively(path, to_json(result), beside(path))
        except FileExistsError:
            raise StoreError(f"{path} is there already: is another bench running in {self.root}?") from None
        except OSError as error:
            raise StoreError(f"{path} cannot be written: {error.strerror}") from None
        return path

    def read(self) -> tuple[RunResult, ...]:
        """All of them, by cell and round; a failure that a later run of its round mended is left out. ``GraftlmError``
        names a file that is none.
        """
        found = [read_file(path, RunResult) for path in sorted(self._runs.glob("*.json"))]
        finished = {(result.cell, result.round) for result in found if not result.error}
        kept = [r for r in found if not r.error or (r.cell, r.round) not in finished]
        return tuple(sorted(kept, key=lambda r: (r.cell, r.round, r.finished)))

    def keep_log(self, slug: str, number: int, log: Path) -> None:
        """Of a failed run, in the place of the one before."""
        self.logs.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(log, self.logs / f"{slug}.r{number}.txt")

    def _failures(self, slug: str, number: int) -> int:
        name = re.compile(re.escape(f"{slug}.r{number}.failed-") + r"\d+\.json")
        return sum(1 for path in self._runs.iterdir() if name.fullmatch(path.name))
