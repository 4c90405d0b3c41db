"""What ``graftlm adapters combine --try`` prints, given back to ``graftlm adapters combine``."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, cast

from hypothesis import given, settings
from hypothesis import strategies as st
from kept_adapters import draft

from graftlm.cli.adapters.combine import combine as command
from graftlm.cli.adapters.combine_table import line_of, told
from graftlm.contracts.combining import CombinePlan
from graftlm.judging.combinations import Trials, Tried
from graftlm.running.combine import Combined, read_weights
from graftlm.running.parents import Parents

WEIGHTS = st.floats(allow_nan=False, allow_infinity=False).filter(bool)
RECORDS = tuple(replace(draft("", name=name), version=1) for name in ("one", "two"))


def trials_of(plan: CombinePlan) -> Trials:
    parents = Parents(records=RECORDS, folders={}, combining=cast(Any, None), who=cast(Any, None))
    best = Tried(name=plan.combination, plan=plan, scores=(), mean=0.5, least=0.5)
    return Trials(parents=parents, rows=(), others=(), candidates=(best,), left_out=(), changes=())


@settings(max_examples=50, deadline=None)
@given(st.tuples(WEIGHTS, WEIGHTS), st.floats(0, 1, exclude_min=True), st.integers(0, 2**40), st.integers(1, 2000))
def test_the_printed_line_gives_the_same_plan(
    weights: tuple[float, float], density: float, seed: int, rank: int
) -> None:
    plan = CombinePlan(combination="dare_ties", weights=weights, rank=rank, density=density, seed=seed)
    words = line_of(trials_of(plan)).split()
    assert words[:3] == ["graftlm", "adapters", "combine"]
    asked = command.make_context("combine", words[3:]).params
    assert read_weights(asked["given"]) == tuple(zip(("one@1", "two@1"), weights, strict=True))
    assert (asked["density"], asked["seed"], asked["rank"]) == (density, seed, rank)


def test_a_scored_one_is_not_said_to_be_unknown() -> None:
    plan = CombinePlan(combination="cat", weights=(0.7, 0.3))
    record = replace(RECORDS[0], parents=("one@1", "two@1"))
    made = Combined(record=record, plan=plan)
    (*_, unknown), (*_, known) = told(made), told(made, scored=True)
    assert unknown == "how well it does is not known yet: graftlm eval DATA --adapter one@1"
    assert known.startswith("it was scored above, on rows that chose it")
