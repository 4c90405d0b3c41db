"""What the hook of trackers returns, and what a tracker is handed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal, Protocol

from .spec import Spec


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class Tracker(Spec):
    """Where a run's figures go, beside graftlm's own files.

    ``target`` resolves to a callable that takes a ``TrackedRun`` and gives a ``Tracking``. It is called in the process
    that supervises the run, without torch, in a thread of its own: it may take its time, and an error of it is a
    warning of the run, which goes on without it. ``check(options)`` gives reasons against its options, or against this
    machine, before anything runs. A tracker changes nothing of the work: plans with it and without have one hash.
    """

    kind: ClassVar[str] = "tracker"
    target: str
    check: Callable[[Mapping[str, Any]], Sequence[str]] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TrackedRun:
    """A run that begins, or goes on. ``name`` is the run's own, ``adapter`` what its adapter will be called; ``folder``
    is the tracker's, in the run's folder, and stays: what must be known when the run goes on belongs there.
    ``settings`` are the plan's, flat: texts, numbers and truth values by name, without those of trackers.
    ``resumed_after`` counts the steps that stay as they were done: those that a process did after them before it was
    killed are done again, and what was told of them is taken back where it can be. ``options`` are the tracker's.
    """

    name: str
    adapter: str
    folder: Path
    settings: Mapping[str, str | int | float | bool]
    resumed_after: int
    options: Mapping[str, Any]


class Tracking(Protocol):
    """A tracker at work on a run. All of it is called in one thread, in order."""

    held: int
    """The last step that is there already: 0, or what an earlier process told and was not taken back. Every step after
    it comes once: those that were done before are told from the run's own files."""

    def step(self, step: int, values: Mapping[str, float]) -> None:
        """Figures of an optimizer step, which counts from 1: ``loss``, ``learning_rate``, ``gradient_norm``,
        ``tokens_per_second``, ``memory`` (bytes), ``tokens`` (so far), and ``validation_loss`` where it was measured.
        A gradient norm may be infinite, or no number. What a killed process had not kept is no part of ``held`` when
        the run goes on, and so comes again.
        """

    def finish(
        self, state: Literal["done", "stopped", "failed"], results: Mapping[str, float], files: Sequence[Path]
    ) -> None:
        """The run ends, or ends for now. ``results`` are scores by ``EVALUATION/METRIC/MOMENT`` (``before``, ``after``
        and, for what training changed, ``change``), and figures of the whole run by their names; ``files`` are what may
        be shown beside them (the picture of losses, the summary). Both are empty unless it is done.
        """
