"""What ``graftlm adapters combine`` says."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

from graftlm.contracts.combining import CombinePlan
from graftlm.contracts.serial import to_builtins
from graftlm.judging.combinations import Trials, Tried, said_weights
from graftlm.running.combine import Combined
from graftlm.running.score_words import change_words, number, with_interval

from ..tables import exact, table


def as_builtins(made: Combined) -> Mapping[str, Any]:
    record, plan = made.record, made.plan
    return {
        "adapter": record.reference,
        "parents": list(record.parents),
        "combination": plan.combination,
        "weights": list(plan.weights),
        "rank": record.hyperparameters["rank"],
        "density": plan.density,
        "seed": plan.seed,
        "effect": record.proof.effect,
        "reload": record.proof.reload,
        "digest": record.digest,
    }


def told(made: Combined, scored: bool = False) -> Iterator[str]:
    """Lines for a person. ``scored``: a table of trials stands above them."""
    record, plan = made.record, made.plan
    terms = [f"{weight:g} × {name}" for weight, name in zip(plan.weights, record.parents, strict=True)]
    of = " + ".join(terms).replace("+ -", "− ")
    yield f"combined {of} by {way(plan)}: {record.reference}, of rank {record.hyperparameters['rank']}"
    if not math.isclose(made.total, 1):
        yield f"the weights sum to {made.total:g}, not to 1, which would be a mean of them"
    proof = record.proof
    again = f"differs by at most {proof.reload:.3g} from" if proof.reload else "gives the same logits as"
    yield f"it changes the base's logits by up to {proof.effect:.3g}; loaded again it {again} what was made"
    known = "it was scored above, on rows that chose it; on others" if scored else "how well it does is not known yet"
    yield f"{known}: graftlm eval DATA --adapter {record.reference}"


def way(plan: CombinePlan) -> str:
    """The combination with its settings."""
    more = [f"density {plan.density:g}"] if plan.density is not None else []
    more += [f"seed {plan.seed}"] if plan.seed is not None else []
    return f"{plan.combination} ({', '.join(more)})" if more else plan.combination


def tried_text(trials: Trials, kept: bool) -> str:
    """The table, what it says, and what it does not."""
    references = [record.reference for record in trials.parents.records]
    header = ("combination", "weights", *(f"on {name}'s rows" for name in references), "mean (least)")
    rows = [_row(each) for each in (*trials.others, *trials.candidates)]
    lines = [table(rows, header), ""]
    lines += [f"left out: {reason}" for reason in trials.left_out]
    for each in trials.rows:
        of = f" of {each.available}" if each.available > len(each.rows) else ""
        less = f"; {each.trained} more were left out: another of them was trained on those" if each.trained else ""
        metric = next(s.metric for s in trials.best.scores if s.evaluation == each.record.reference)
        lines.append(f"{each.record.reference}: {metric} on {len(each.rows)}{of} {each.split} rows{less}")
    lines += ["", *_said(trials)]
    if not kept and trials.best.plan is not None:
        lines += ["nothing was published; to keep the best:", f"  {line_of(trials)}"]
    return "\n".join(lines)


def _row(each: Tried) -> tuple[str, ...]:
    unit = each.scores[0].unit
    weights = said_weights(each.plan) if each.plan else "alone"
    mean = f"{number(each.mean, unit)} ({number(each.least, unit)})"
    return (way(each.plan) if each.plan else each.name, weights, *map(with_interval, each.scores), mean)


def _said(trials: Trials) -> Iterator[str]:
    best, count = trials.best, len(trials.candidates)
    if count > 1:
        equal = trials.equals
        yield f"best by the mean: {_called(best)}"
        if len(equal) == count - 1:
            yield "but no other is shown to be worse (95%, paired by row): the differences may be noise"
        elif equal:
            yield f"not shown to be worse (95%, paired by row): {', '.join(map(_called, equal))}"
        else:
            yield "and by more than noise: each of the others is worse (95%, paired by row)"
    for change in trials.changes:
        worse = ", which is worse" if change.worse else ""
        points = " points" if change.unit == "fraction" else ""
        who = change.evaluation
        yield f"on {who}'s rows {_called(best)} is {change_words(change)}{points} against {who} alone{worse}"
    alone = max(trials.others[1:], key=lambda each: each.mean if _up(each) else -each.mean)
    if (alone.mean >= best.mean) if _up(best) else (alone.mean <= best.mean):
        yield f"no combination has a better mean than {alone.name} alone"
    splits = " and ".join(dict.fromkeys(each.split for each in trials.rows))
    yield (
        f"these {splits} rows chose it and are no longer unseen: the best of {count} looks better on them than it is. "
        "Score what you keep on other rows (graftlm eval)"
    )


def _up(each: Tried) -> bool:
    return each.scores[0].higher_is_better


def _called(each: Tried) -> str:
    return f"{each.name} {said_weights(each.plan)}" if each.plan else each.name


def line_of(trials: Trials) -> str:
    """The command that keeps the best: its numbers are not rounded."""
    plan, records = trials.best.plan, trials.parents.records
    assert plan is not None
    given = " ".join(f"{r.reference}={exact(weight)}" for r, weight in zip(records, plan.weights, strict=True))
    settings = {"rank": plan.rank or None, "density": plan.density, "seed": plan.seed}
    more = "".join(f" --{key} {exact(value)}" for key, value in settings.items() if value is not None)
    return f"graftlm adapters combine {given} --combination {plan.combination}{more}"


def tried_as_builtins(trials: Trials) -> dict[str, Any]:
    def one(each: Tried) -> Mapping[str, Any]:
        return {
            "name": each.name,
            "plan": to_builtins(each.plan) if each.plan else None,
            "scores": [to_builtins(score) for score in each.scores],
            "mean": each.mean,
            "least": each.least,
            "behind": each.behind,
        }

    return {
        "rows": [
            {"adapter": e.record.reference, "split": e.split, "rows": len(e.rows), "left_out": e.trained}
            for e in trials.rows
        ],
        "alone": [one(each) for each in trials.others],
        "candidates": [one(each) for each in trials.candidates],
        "left_out": list(trials.left_out),
        "changes": [to_builtins(change) for change in trials.changes],
        "keep": line_of(trials),
    }
