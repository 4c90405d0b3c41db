"""What a comparison finds, as values: all that Markdown and the page show."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import msgspec

Status = Literal["finished", "unfinished", "failed", "unavailable"]
Relation = Literal["baseline", "same computation", "another computation", "not comparable", "none"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Measure:
    """Something that is measured of every run, such as ``tokens_per_second``. ``unit`` is that of its values;
    ``compared``: cells get a ratio of it.
    """

    name: str
    label: str
    unit: str
    higher_is_better: bool
    compared: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """Of a cell's finished runs, one value a round: their median, and the least and the greatest."""

    median: float
    least: float
    greatest: float
    values: tuple[float, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Ratio:
    """A cell's measure by that of its baseline, paired within rounds: median and 95% bootstrap interval.

    ``low`` and ``high`` are None where there are too few rounds for an interval. ``said`` puts it in words:
    ``1.42 times as fast (1.38 to 1.47)``, ``no difference shown (0.97 to 1.04)``.
    """

    median: float
    low: float | None
    high: float | None
    rounds: int
    said: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One test of the parity gate. ``said`` is what was found, with figures: ``first loss differs by 3.1e-7``."""

    name: str
    passed: bool
    said: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CellReport:
    """``settings`` are those that tell the cell from others, by flag name. ``reason`` says why it is not finished, or
    not comparable. ``computation`` numbers the class of cells that claim to compute the same; ``baseline`` is the name
    of the cell that the ratios are to. ``step_seconds`` are those of all rounds, warm-up left out; ``losses`` are by
    step in the first round, ``validation`` (step, loss) pairs of it.
    """

    name: str
    settings: Mapping[str, str]
    status: Status
    reason: str = ""
    rounds: int = 0
    computation: int = 0
    relation: Relation = "none"
    baseline: str = ""
    checks: tuple[Check, ...] = ()
    figures: Mapping[str, Figure] = field(default_factory=dict)
    ratios: Mapping[str, Ratio] = field(default_factory=dict)
    step_seconds: tuple[float, ...] = ()
    losses: tuple[float, ...] = ()
    validation: tuple[tuple[int, float], ...] = ()
    ran: Mapping[str, str] = field(default_factory=dict)
    """What really ran, in words: attention, precision, loss path, code of others, versions."""

    @property
    def comparable(self) -> bool:
        return self.relation in ("baseline", "same computation")


@dataclass(frozen=True, slots=True, kw_only=True)
class Slope:
    """How a measure grows along a sweep: it goes as ``value ** exponent``, fitted over all runs, with its 95%
    bootstrap interval (None where there are too few runs). ``points`` are (swept value, median).
    """

    measure: str
    cells: str
    exponent: float
    low: float | None
    high: float | None
    points: tuple[tuple[float, float], ...]
    said: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Sweep:
    """``setting`` is what grows, as a flag's name without dashes."""

    setting: str
    slopes: tuple[Slope, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """A figure with its 95% interval over rows, or None where there is none."""

    value: float
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Learned:
    """One metric of one evaluation: of a new skill, or of an old one that may be forgotten. ``samples`` are the files
    of what each row was worth before and after, from the report's own folder.
    """

    evaluation: str
    role: Literal["new", "old"]
    evaluator: str
    metric: str
    unit: str
    higher_is_better: bool
    n: int
    before: Estimate
    after: Estimate
    change: Estimate
    samples: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgedCell:
    """What a cell learned and what it cost. ``forgetting`` is in nats a token on the retention text. ``parts`` are what
    weights weigh, higher is better: by name a number, and ``score`` their weighted sum. ``against_best`` is the
    difference of the new skill from that of the best cell, paired over rows; None for the best itself, or where their
    test rows are not the same. ``samples`` is the folder of the per-sample files, from the report's own.
    """

    name: str
    adapter: str
    samples: str
    learned: tuple[Learned, ...]
    forgetting: Estimate | None
    parts: Mapping[str, float]
    score: float
    against_best: Estimate | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CurvePoint:
    rows: int
    score: Estimate
    cell: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Curve:
    """A new skill over the number of training rows. ``doubled`` is what twice the most rows would likely bring, by a
    power law of the error; None where it cannot be said. ``cells`` names what else the cells have in common.
    """

    evaluation: str
    metric: str
    unit: str
    cells: str
    points: tuple[CurvePoint, ...]
    doubled: Estimate | None
    said: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """``cells`` are finished ones, the best first; ``weights`` by name. ``said`` are sentences that hold."""

    weights: Mapping[str, float]
    cells: tuple[JudgedCell, ...]
    curves: tuple[Curve, ...]
    said: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """``about`` says what it was measured on, in the order to show; ``settings`` are those that all cells share, by
    flag name. ``computations`` describes each class by its number: ``lora on tiny-qwen in fp32, 410 rows``.
    """

    title: str
    created: str
    about: Mapping[str, str]
    settings: Mapping[str, str]
    rounds: int
    warmup: int
    measures: tuple[Measure, ...]
    cells: tuple[CellReport, ...]
    computations: Mapping[int, str] = field(default_factory=dict)
    sweeps: tuple[Sweep, ...] = ()
    notes: tuple[str, ...] = ()
    judgement: Judgement | None = None

    def to_builtins(self) -> Any:
        """JSON values, keys in the order to show."""
        return msgspec.to_builtins(self, str_keys=True)
