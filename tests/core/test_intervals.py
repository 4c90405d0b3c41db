"""Intervals of scores."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from graftlm import intervals


@pytest.mark.parametrize(
    ("right", "n", "low", "high"),
    [(8, 10, 0.4901625, 0.9433178), (0, 10, 0.0, 0.2775328), (10, 10, 0.7224672, 1.0), (50, 100, 0.4038315, 0.5961685)],
)
def test_wilson_s_interval_is_the_published_one(right: int, n: int, low: float, high: float) -> None:
    assert intervals.wilson(right, n) == pytest.approx((low, high), abs=1e-6)


@given(st.integers(1, 500).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_wilson_s_interval_holds_the_share_and_turns_round_with_it(case: tuple[int, int]) -> None:
    right, n = case
    low, high = intervals.wilson(right, n)
    assert 0 <= low <= right / n <= high <= 1
    assert intervals.wilson(n - right, n) == pytest.approx((1 - high, 1 - low))


def test_no_rows_have_no_interval() -> None:
    with pytest.raises(ValueError, match="no rows"):
        intervals.wilson(0, 0)


def test_a_bootstrap_holds_the_mean_as_often_as_it_says() -> None:
    draw = np.random.default_rng(5)
    held = 0
    for _ in range(100):
        low, high = intervals.bootstrap_of_mean(draw.exponential(2.0, 60))
        held += low <= 2.0 <= high
    assert 85 <= held <= 99


def test_a_bootstrap_is_the_same_every_time_and_of_equal_rows_is_a_point() -> None:
    values = [0.1, 0.9, 0.4, 0.7]
    assert intervals.bootstrap_of_mean(values) == intervals.bootstrap_of_mean(values)
    assert intervals.bootstrap_of_mean([0.3] * 9) == pytest.approx((0.3, 0.3))
    whole = intervals.bootstrap(4, lambda rows: {"mean": float(np.array(values)[rows].mean())})
    assert whole["mean"] == pytest.approx(intervals.bootstrap_of_mean(values))


def test_what_is_right_or_wrong_is_a_share() -> None:
    assert intervals.is_share([True, False, 1.0])
    assert not intervals.is_share([0.5])


pairs = st.lists(st.tuples(st.booleans(), st.booleans()), min_size=2, max_size=200)


@given(pairs)
def test_what_changed_in_a_share_lies_in_its_interval_and_turns_round_with_it(rows: list[tuple[bool, bool]]) -> None:
    before, after = zip(*rows, strict=True)
    low, high = intervals.paired_shares(before, after)
    assert -1 <= low <= (sum(after) - sum(before)) / len(rows) <= high <= 1
    assert intervals.paired_shares(after, before) == pytest.approx((-high, -low))


def test_a_change_of_every_row_is_not_certain_and_pairs_tell_more_than_shares() -> None:
    low, high = intervals.paired_shares([False] * 20, [True] * 20)
    assert 0.7 < low < 1 == high
    before = [i % 2 == 0 for i in range(100)]
    alike = [not b if i in (1, 3) else b for i, b in enumerate(before)]
    low, high = intervals.paired_shares(before, alike)
    assert high - low < 0.12
    apart = [*before[2:], *before[:2]][::-1]
    low, high = intervals.paired_shares(before, apart)
    assert high - low > 0.2


def test_a_paired_interval_holds_the_change_as_often_as_it_says() -> None:
    draw = np.random.default_rng(9)
    held = 0
    for _ in range(400):
        same = draw.random(50)
        before, after = same < 0.7, np.where(draw.random(50) < 0.3, draw.random(50), same) < 0.6
        truth = (0.3 * 0.6 + 0.7 * 0.6) - 0.7
        low, high = intervals.paired_shares(before.tolist(), after.tolist())
        held += low <= truth <= high
    assert 0.92 <= held / 400 <= 0.995
