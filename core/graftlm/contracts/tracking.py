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
    warning of the run. ``check(options)`` gives reasons against its options.
    """

    kind: ClassVar[str] = "tracker"
    target: str
    check: Callable[[Mapping[str, Any]], Sequence[str]] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TrackedRun:
    """A run that begins, or goes on. ``name`` is the run's own, ``adapter`` what its adapter will be called; ``folder``
    is the tracker's, in the run's folder, and stays. ``settings`` are the plan's, flat. ``resumed_after`` counts the
    steps that were done before: figures of later ones, which may have been told, come again. ``options`` are the
    tracker's.
    """

    name: str
    adapter: str
    folder: Path
    settings: Mapping[str, Any]
    resumed_after: int
    options: Mapping[str, Any]


class Tracking(Protocol):
    """A tracker at work on a run."""

    def step(self, step: int, values: Mapping[str, float]) -> None:
        """Figures of an optimizer step, which counts from 1: ``loss``, ``learning_rate``, ``gradient_norm``,
        ``tokens_per_second``, ``memory`` (bytes), ``tokens`` (so far), and ``validation_loss`` where it was measured.
        """

    def finish(
        self, state: Literal["done", "stopped", "failed"], results: Mapping[str, float], files: Sequence[Path]
    ) -> None:
        """The run ends for now. ``results`` are scores by ``EVALUATION/METRIC/MOMENT`` and the like, and ``files`` what
        may be shown beside them (the picture of losses, the summary); both are empty unless it is done.
        """
