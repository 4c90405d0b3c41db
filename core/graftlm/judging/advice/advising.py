"""Advice on data: every model asked with every prompt, every adapter asked bare, and what to do about it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from graftlm.contracts.config import RunConfig
from graftlm.contracts.errors import UsageError
from graftlm.contracts.outcome import Change
from graftlm.contracts.specs import Evaluator, Metric
from graftlm.running.worker_process import OnEvent, StartWorker
from graftlm_registry.adapters import open_store
from graftlm_registry.plugins import Registry

from ..subjects import Subject, of_base, of_stored, rows_of
from .asking import Ways, try_bare, try_prompts
from .evidence import Cost, Evidence
from .faults import faults
from .knowledge import Knowledge, knowledge
from .material import Material, material
from .paired import gain
from .prompts import prompts_of
from .reasons import unjudged
from .variants import Tried
from .verdict import Recommendation, recommend

GOOD_ENOUGH = 0.9
"""The share of right answers that is wanted, unless another is."""
MEASURED_ROWS = 200
"""Training rows whose tokens are counted, at most."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """``limit`` validation rows at most. ``good_enough`` is in the metric's unit; None is 0.9 of a share. ``calls`` is
    how often the model will be asked, if anybody knows.
    """

    limit: int = 200
    ways: Ways = field(default_factory=Ways)
    good_enough: float | None = None
    calls: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelAdvice:
    """One model, and what to do with it."""

    subject: Subject
    evidence: Evidence
    recommendation: Recommendation


@dataclass(frozen=True, slots=True, kw_only=True)
class AdapterAdvice:
    """An adapter's ``tried`` against the best prompt of ``model``; ``gain`` is the adapter's. ``other_data``: it was
    trained on other rows than the data has for training, and may have seen some that it is asked here. ``unjudged``
    says which prompts of the model it may not have beaten.
    """

    subject: Subject
    tried: Tried
    model: str
    best: Tried
    gain: Change
    other_data: bool
    unjudged: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Advice:
    """``gaps`` are how much better the best prompt of the best model is than that of each other, by name."""

    material: Material
    metric: Metric
    evaluator: str
    knowledge: Knowledge
    models: tuple[ModelAdvice, ...]
    adapters: tuple[AdapterAdvice, ...]
    best: str
    gaps: tuple[tuple[str, Change], ...]


def advise(
    config: RunConfig,
    models: Sequence[str],
    adapters: Sequence[str],
    wanted: Wanted,
    registry: Registry,
    on_event: OnEvent,
    say: Callable[[str], None] = lambda words: None,
    start: StartWorker | None = None,
) -> Advice:
    """Without ``models``, the bases of the ``adapters`` are asked."""
    store = open_store()
    named = tuple(dict.fromkeys(models or [store.get(name).base.reference for name in adapters]))
    if not named:
        raise UsageError("which model is advice wanted for? --model NAME (graftlm models list shows some)")
    bases = [of_base(replace(config, model=name), registry) for name in named]
    tuned = [of_stored(name, config, registry) for name in dict.fromkeys(adapters)]
    evaluator = bases[0].evaluators[0]
    metric = registry.get(Evaluator, evaluator).metrics[0]
    good_enough = _good_enough(wanted.good_enough, metric, evaluator)
    plan = bases[0].plan
    rows = material(rows_of(plan, "train", registry), rows_of(plan, "validation", registry), wanted.limit)
    if rows.pool and max(wanted.ways.counts, default=0) > rows.choosable:
        raise UsageError(
            f"--shots {max(wanted.ways.counts)}: there are {rows.choosable:,} training rows to choose examples from"
        )
    known = knowledge(rows.pool, rows.asked, rows.train)
    ceiling_for = good_enough if metric.unit == "fraction" and metric.higher_is_better else None
    found = []
    for subject in bases:
        say(f"asking {subject.name} {len(rows.asked)} validation rows with every prompt that fits …")
        tried = try_prompts(subject, rows, wanted.ways, registry, on_event, start)
        if not any(one.scores for one in tried):
            raise UsageError(f"{subject.name}: no prompt fits: {_unfit(tried[0], rows)}")
        exact = all(value in (0, 1) for one in tried for value in one.each) and any(one.each for one in tried)
        evidence = Evidence(
            tried=tried,
            good_enough=good_enough,
            knowledge=known,
            faults=faults(rows, ceiling_for if exact else None),
            classes=len(rows.classes),
            cost=_cost(subject, rows, registry),
            calls=wanted.calls,
        )
        found.append(ModelAdvice(subject=subject, evidence=evidence, recommendation=recommend(evidence)))
    advised = []
    for subject in tuned:
        say(f"asking {subject.name} the same rows …")
        tried_bare = try_bare(subject, rows, registry, on_event, start)
        if not tried_bare.scores:
            raise UsageError(f"{subject.name}: {_unfit(tried_bare, rows)}")
        advised.append(_against(subject, tried_bare, found))
    best = _best(found)
    return Advice(
        material=rows,
        metric=metric,
        evaluator=evaluator,
        knowledge=known,
        models=tuple(found),
        adapters=tuple(advised),
        best=best.subject.name,
        gaps=tuple((one.subject.name, gain(one.evidence.best, best.evidence.best)) for one in found if one is not best),
    )


def _good_enough(said: float | None, metric: Metric, evaluator: str) -> float:
    if said is not None:
        if metric.unit == "fraction" and not 0 < said <= 1:
            raise UsageError(f"--good-enough {said:g}: '{metric.name}' is a share, so say a number above 0, up to 1")
        return said
    if metric.unit == "fraction" and metric.higher_is_better:
        return GOOD_ENOUGH
    raise UsageError(
        f"'{evaluator}' gives {metric.name}, of which nobody can know what is good enough: say it with "
        "--good-enough X, or choose an --evaluator that counts right answers"
    )


def _unfit(bare: Tried, rows: Material) -> str:
    """Why the bare questions cannot be asked, and which of them is the longest."""
    return (
        f"the bare question of {rows.asked[bare.longest_row].source} takes {bare.longest:,} tokens, and with an answer "
        f"it {bare.why_not}: shorten it, leave the row out, or give a model or a --context-length with more room"
    )


def _cost(subject: Subject, rows: Material, registry: Registry) -> Cost:
    """Of training on all training rows, with the settings that ``graftlm train`` would take by itself."""
    sample = rows.pool[:MEASURED_ROWS]
    with prompts_of(subject, registry) as prompts:
        tokens = prompts.whole(sample)
    mean = sum(tokens) / len(tokens) if tokens else 0.0
    return Cost(rows=len(rows.train), tokens=mean, epochs=subject.plan.training.epochs)


def _best(found: Sequence[ModelAdvice]) -> ModelAdvice:
    """The highest score; of equal ones the model that was named first."""
    sign = 1 if found[0].evidence.best.score.higher_is_better else -1
    return max(found, key=lambda one: sign * one.evidence.best.score.value)


def _against(subject: Subject, tried: Tried, found: Sequence[ModelAdvice]) -> AdapterAdvice:
    """Its own base where that was asked, else the best model."""
    assert subject.record is not None
    own = next((one for one in found if one.subject.plan.model.name == subject.record.base.name), _best(found))
    train = subject.plan.data.split("train")
    digest = "" if train is None else f"train:{train.digest}"
    return AdapterAdvice(
        subject=subject,
        tried=tried,
        model=own.subject.name,
        best=own.evidence.best,
        gain=gain(own.evidence.best, tried),
        other_data=digest not in subject.record.data_digest.split("+"),
        unjudged=tuple(unjudged(own.evidence)),
    )
