"""What the front hands to a worker to make one adapter of several, and what a tuner needs to do so."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from .job import Answerer
from .outcome import Score
from .plan import EncodingPlan
from .services import Tuner


@dataclass(frozen=True, slots=True, kw_only=True)
class CombinePlan:
    """How: one of the method's combinations, with a weight for each parent. ``rank`` is 0 where it follows from the
    parents'. ``density`` is the share of numbers that is kept, and ``seed`` that of those which are drawn, where the
    combination has them.
    """

    combination: str
    weights: tuple[float, ...]
    rank: int = 0
    density: float | None = None
    seed: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CombineJob:
    """Combine the adapters in the folders ``parents`` and write what comes of it to ``who.kept.folder``, an empty one.
    ``texts`` are rendered prompts that it is proved on. With a ``trial`` there is no plan and nothing is written: the
    candidates are scored.
    """

    who: Answerer
    parents: tuple[str, ...]
    plan: CombinePlan | None = None
    texts: tuple[str, ...] = ()
    trial: Trial | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialRows:
    """What one parent was evaluated on: ``rows`` is a file of ``count`` of them, which ``evaluator`` scores."""

    name: str
    rows: str
    count: int
    evaluator: str
    options: Mapping[str, Any]
    encoding: EncodingPlan


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """All of the rows are asked of the bare base, of each parent and of each candidate. The base is loaded once."""

    candidates: tuple[CombinePlan, ...]
    asked: tuple[TrialRows, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialScore:
    """On the rows of one parent, by the first metric of its evaluator; ``each`` is what each row was worth."""

    score: Score
    each: tuple[float, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialSubject:
    """One who was asked: a score for each parent's rows, or the ``problem`` why there is none."""

    scores: tuple[TrialScore, ...] = ()
    problem: str = ""


class CombiningTuner(Tuner, Protocol):
    """The tuner of a method that says how its adapters become one."""

    def combine(self, model: Any, parents: Sequence[Path], plan: CombinePlan) -> Any:
        """The bare base with the combination of what ``save`` wrote to these folders, ready to answer and to be saved.
        The same on every device. Raises ``RunError`` where it cannot be made, and leaves the base bare.
        """

    def bare(self, model: Any) -> Any:
        """The base with nothing on it, its weights what they were."""
