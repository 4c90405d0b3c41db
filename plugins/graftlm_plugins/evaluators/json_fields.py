"""JSON: is the answer valid, and are its fields those of the reference?"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from graftlm.api import Evaluator, Metric, hookimpl

if TYPE_CHECKING:
    from graftlm.api import EvaluationContext, EvaluationResult

FENCE = "```"


def score(context: EvaluationContext) -> EvaluationResult:
    """``json-valid``: the share of answers that are JSON. ``json-fields``: the mean share of the reference's values,
    at whatever depth, that the answer has at their place; of a reference that is no JSON, whether the texts are equal.
    """
    from graftlm.api import EvaluationResult

    from .answering import answered, mean

    found = answered(context)
    read = [_read(answer) for answer in found.answers]
    valid = [value is not None for value in read]
    fields = [
        _share(_read(reference), value, reference == answer)
        for reference, answer, value in zip(found.references, found.answers, read, strict=True)
    ]
    return EvaluationResult(
        values={"json-valid": mean(valid), "json-fields": mean(fields)},
        samples=found.samples(valid=valid, fields=fields),
        each={"json-valid": valid, "json-fields": fields},
    )


def _read(text: str) -> tuple[Any] | None:
    """The value, in a tuple because it may be null; a fence around it is no part of it."""
    bare = text.strip()
    if bare.startswith(FENCE) and bare.endswith(FENCE) and "\n" in bare:
        bare = bare.partition("\n")[2].removesuffix(FENCE)
    try:
        return (json.loads(bare),)
    except (ValueError, RecursionError):
        return None


def _share(wanted: tuple[Any] | None, given: tuple[Any] | None, equal: bool) -> float:
    if wanted is None:
        return float(equal)
    if given is None:
        return 0.0
    leaves, found = dict(_leaves(wanted[0])), dict(_leaves(given[0]))
    same = [place in found and _same(found[place], value) for place, value in leaves.items()]
    return sum(same) / len(same)


def _same(a: Any, b: Any) -> bool:
    """1 and 1.0 are the same number, and true is none."""
    return bool(a == b) and isinstance(a, bool) == isinstance(b, bool)


def _leaves(value: Any, place: tuple[str | int, ...] = ()) -> Iterator[tuple[tuple[str | int, ...], Any]]:
    """Values by their place; an empty object or list is a value."""
    inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    if not value or not isinstance(value, dict | list):
        yield place, value
        return
    for key, each in inside:
        yield from _leaves(each, (*place, key))


@hookimpl
def graftlm_evaluators() -> Iterable[Evaluator]:
    yield Evaluator(
        name="json",
        summary="valid JSON, and the share of fields that are right",
        metrics=(
            Metric(name="json-valid", unit="fraction", higher_is_better=True),
            Metric(name="json-fields", unit="fraction", higher_is_better=True),
        ),
        target="graftlm_plugins.evaluators.json_fields:score",
    )
