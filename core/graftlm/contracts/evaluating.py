"""What an evaluator is handed in the worker, and what it gives. Nothing here imports torch."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from .conversation import Message
    from .specs import Metric


class EvaluationContext(Protocol):
    """What an evaluator is handed."""

    options: Mapping[str, Any]

    @property
    def taught(self) -> frozenset[str]:
        """Short answers that the training rows give again and again, such as classes; none where nothing is trained."""

    @property
    def longest_reference(self) -> int:
        """Tokens that the longest right answer takes, its end token included."""

    def questions(self) -> Sequence[str]:
        """The rendered prompts, in the order of the rows."""

    def references(self) -> Sequence[str]:
        """The right answers, in the order of the rows."""

    def generate(self, max_new_tokens: int) -> list[str]:
        """Greedy answers, in the order of the rows; ``max_new_tokens`` a piece."""

    def answer_losses(self, answers: Sequence[str] | None = None) -> list[tuple[float, int]]:
        """For each row the summed loss of its answer in nats, and its number of trained tokens; with ``answers``, of
        that one in its place. ``(0.0, 0)`` for a row that does not fit the model's positions: it is no loss of 0.
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluationResult:
    """``values`` by metric name; ``samples`` one dict a row, to trace a figure by.

    For the intervals: ``each`` has one number a row for a metric that is their mean; ``over(rows)`` gives the metrics
    that are not over chosen rows (indices as ``int64[n]``, with repeats).
    """

    values: Mapping[str, float]
    samples: tuple[Mapping[str, Any], ...]
    each: Mapping[str, Sequence[float]] = field(default_factory=dict)
    over: Callable[[Any], Mapping[str, float]] | None = None


class HarnessContext(Protocol):
    """What an evaluator with tasks of its own is handed."""

    options: Mapping[str, Any]
    model: Any
    """The base with what was kept of a run on it, ready to answer. It is loaded when it is first asked for."""
    folder: Path
    """The base's files, its tokenizer among them."""
    tasks: Path | None
    """The folder that the user gave as DATA."""
    scratch: Path
    """A folder for the evaluator's own files, removed afterwards."""
    own_template: bool
    """The base's files have a chat template."""
    lead: str
    """What the model's template writes between a rendered prompt and the answer itself, such as a space."""
    stops: Sequence[int]
    """Ids that end an answer in the model's template."""
    known: Collection[str]
    """Tasks that were scored by an earlier job: they need not be scored again."""

    def render(self, messages: Sequence[Message], answer: bool) -> str:
        """A conversation in the words of the model's template, up to where the next answer begins; or, where it ends
        with the beginning of an ``answer``, up to the end of that."""

    def checkpoint(self) -> None:
        """Call between batches: raises where the job must stop."""

    def progress(self, stage: str, done: int, total: int) -> None:
        """Tell how far it is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskResult:
    """One task of an evaluator that brings its own. ``metrics`` are those of ``result``, which has a sample a question.
    Of a task that was ``known``, the ``result`` is None.
    """

    name: str
    metrics: tuple[Metric, ...] = ()
    result: EvaluationResult | None = None


class Harness(Protocol):
    """The target of an ``Evaluator`` with tasks of its own."""

    def __call__(self, context: HarnessContext, /) -> Iterable[TaskResult]:
        """Every task that was asked for, in order, as it is scored. Raises ``UsageError`` or ``DataError``."""
