"""A suite that judges: what is given several times varies, and every cell is trained to its end."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from graftlm.contracts.config import RunConfig
from graftlm.contracts.errors import UsageError
from graftlm.planning.resolve import resolve
from graftlm_registry.plugins import Registry

from .cells import JOINT, word
from .resolving import NOTHING
from .suite import Suite, growing, suite


def judged_suite(
    data: str,
    matrix: Mapping[str, Sequence[Any]],
    weights: Mapping[str, float],
    registry: Registry,
    *,
    options: Mapping[str, Any] | None = None,
    each_capability: bool = False,
) -> Suite:
    """``matrix`` are settings with their values; ``each_capability`` sets one adapter for all of the data's
    capabilities against one for each. ``UsageError`` where nothing varies.
    """
    if data == "-":
        raise UsageError("standard input can be read once, and every cell needs the data: give a file")
    varying = {name: tuple(values) for name, values in matrix.items() if values}
    if len(varying.get("data_size", ())) > 1:
        varying["data_size"] = growing("--data-size", varying["data_size"])
    if len(varying.get("retention", ())) > 1 and (weights.get("old") or weights.get("forgetting")):
        raise UsageError(
            "--retention and --no-retention: a cell whose forgetting is not measured cannot be ranked by it: give one "
            "of them, or --weigh new=1"
        )
    if each_capability:
        if "capability" in varying:
            raise UsageError("--each-capability takes every one: leave --capability out")
        varying["capability"] = (JOINT, *_capabilities(data, varying, registry))
    made = suite(
        title=word("data", data),
        base={"data": data, **({"options": options} if options else {})},
        matrix=varying,
        baseline={},
        repeat=1,
        warmup=1,
        answers=0,
        judges=True,
        weights=weights,
    )
    if not made.matrix:
        raise UsageError("nothing is compared: give something several times, as --model tiny-mistral --model tiny-qwen")
    return made


def _capabilities(data: str, matrix: Mapping[str, Sequence[Any]], registry: Registry) -> tuple[str, ...]:
    """Those of the test rows. ``UsageError`` where there are not several."""
    first = {name: values[0] for name, values in matrix.items()}
    said = {name: value for name, value in first.items() if (name, value) not in NOTHING}
    plan = resolve(RunConfig(data=data, **said), registry)
    found = tuple(e.capability for e in plan.evaluations if e.role == "new" and e.capability)
    if len(found) < 2:
        raise UsageError(
            f"{data} does not name several capabilities: give its rows a field 'capability', or mix data sets "
            "('graftlm data mix a.jsonl b.jsonl')"
        )
    return found
