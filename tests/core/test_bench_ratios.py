"""Ratios: paired within rounds, one over the other when swapped, with the bootstrap interval that counting gives."""

from __future__ import annotations

import itertools
import math
import random
import statistics
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from graftlm.comparing.model import Measure, Ratio
from graftlm.comparing.ratios import bootstrap_of_median, figure, interval, paired_ratio

SPEED = Measure(name="tokens_per_second", label="tokens/s", unit="tokens/s", higher_is_better=True, compared=True)
TIME = Measure(name="step_seconds", label="step time", unit="s", higher_is_better=False)
MEMORY = Measure(name="peak_memory", label="peak memory", unit="bytes", higher_is_better=False)
ENERGY = Measure(name="joules_per_token", label="Energy a token", unit="J/token", higher_is_better=False)

UNHURRIED = settings(deadline=None)
positive = st.floats(1e-6, 1e12)
rounds = st.dictionaries(st.integers(0, 30), st.tuples(positive, positive), min_size=1, max_size=12)


def ratio(mine: dict[int, float], baseline: dict[int, float], measure: Measure = SPEED) -> Ratio:
    found = paired_ratio(mine, baseline, measure)
    assert found is not None
    return found


def of_ratios(*ratios: float, measure: Measure = SPEED) -> Ratio:
    return ratio(dict(enumerate(ratios)), dict.fromkeys(range(len(ratios)), 1.0), measure)


def counted(values: list[float]) -> dict[float, float]:
    """The bootstrap distribution of the median, by going through every resample there is."""
    medians = Counter(round(statistics.median(drawn), 9) for drawn in itertools.product(values, repeat=len(values)))
    return {median: count / len(values) ** len(values) for median, count in medians.items()}


@pytest.mark.parametrize(
    "values",
    [
        [3.0],
        [1.0, 2.0],
        [1.0, 2.0, 4.0],
        [1.0, 2.0, 4.0, 8.0],
        [5.0, 1.0, 2.5, 2.5],
        [1.0, 2.0, 4.0, 8.0, 16.0],
        [1.0, 2.0, 4.0, 8.0, 16.0, 32.0],
        [0.0, 0.0, 1.0, 1.0, 7.0, 7.0],
    ],
)
def test_the_exact_bootstrap_is_what_all_resamples_give(values: list[float]) -> None:
    exact: dict[float, float] = {}
    for median, probability in bootstrap_of_median(values):
        exact[round(median, 9)] = exact.get(round(median, 9), 0.0) + probability
    assert exact == pytest.approx(counted(values))


@pytest.mark.parametrize("size", [7, 10, 21, 40])
def test_many_rounds_agree_with_random_resamples(size: int) -> None:
    draw = random.Random(7)
    values = [draw.gauss(0, 1) for _ in range(size)]
    distribution = bootstrap_of_median(values)
    assert math.fsum(p for _, p in distribution) == pytest.approx(1)
    drawn = sorted(statistics.median(draw.choices(values, k=size)) for _ in range(20_000))
    low, high = interval(distribution)
    # Between the 1.9% and 3.1% points of the resamples: far wider than chance, far narrower than a wrong formula.
    assert drawn[380] <= low <= drawn[620]
    assert drawn[-621] <= high <= drawn[-381]


@UNHURRIED
@given(rounds)
def test_swapped_is_the_reciprocal(pairs: dict[int, tuple[float, float]]) -> None:
    mine = {turn: pair[0] for turn, pair in pairs.items()}
    baseline = {turn: pair[1] for turn, pair in pairs.items()}
    one, other = ratio(mine, baseline), ratio(baseline, mine)
    assert one.median * other.median == pytest.approx(1)
    if one.low is None or one.high is None:
        assert (other.low, other.high) == (None, None)
    else:
        assert other.low == pytest.approx(1 / one.high)
        assert other.high == pytest.approx(1 / one.low)


@UNHURRIED
@given(rounds, st.randoms(use_true_random=False))
def test_the_order_of_rounds_and_their_numbers_change_nothing(
    pairs: dict[int, tuple[float, float]], draw: random.Random
) -> None:
    turns = list(pairs)
    draw.shuffle(turns)
    before = ratio({t: pairs[t][0] for t in pairs}, {t: pairs[t][1] for t in pairs})
    after = ratio({t + 5: pairs[t][0] for t in turns}, {t + 5: pairs[t][1] for t in reversed(turns)})
    assert before == after


@UNHURRIED
@given(rounds)
def test_the_interval_holds_the_median_and_lies_among_the_ratios(pairs: dict[int, tuple[float, float]]) -> None:
    found = ratio({t: p[0] for t, p in pairs.items()}, {t: p[1] for t, p in pairs.items()})
    assert found.rounds == len(pairs)
    assert (found.low is None) == (len(pairs) < 3) == (found.high is None)
    if found.low is not None and found.high is not None:
        ratios = [mine / baseline for mine, baseline in pairs.values()]
        assert found.low <= found.median <= found.high
        assert min(ratios) * (1 - 1e-9) <= found.low
        assert found.high <= max(ratios) * (1 + 1e-9)


@UNHURRIED
@given(st.lists(st.floats(0.5, 2), min_size=3, max_size=11), st.floats(1.01, 4))
def test_a_drift_that_both_share_cancels(ratios: list[float], drift: float) -> None:
    baseline = {turn: 100 * drift**turn for turn in range(len(ratios))}
    mine = {turn: value * baseline[turn] for turn, value in enumerate(ratios)}
    steady = of_ratios(*ratios)
    found = ratio(mine, baseline)
    assert (found.median, found.low, found.high) == pytest.approx((steady.median, steady.low, steady.high))


def test_an_even_number_of_rounds_has_the_geometric_mean_of_the_middle_two() -> None:
    assert of_ratios(1.0, 2.0, 8.0, 100.0).median == pytest.approx(4.0)


def test_only_rounds_that_both_have_count() -> None:
    found = ratio({0: 2.0, 1: 3.0, 2: 9.0, 3: math.nan, 4: 0.0}, {0: 1.0, 1: 1.0, 3: 1.0, 4: 1.0, 5: 1.0})
    assert found.rounds == 2
    assert found.median == pytest.approx(math.sqrt(6))
    assert paired_ratio({0: 1.0}, {1: 1.0}, SPEED) is None
    assert paired_ratio({0: math.inf}, {0: 1.0}, SPEED) is None
    assert paired_ratio({0: 1.0}, {0: -1.0}, SPEED) is None


def test_five_rounds_reach_from_the_least_to_the_greatest_and_ten_do_not() -> None:
    five = of_ratios(1.1, 1.2, 1.3, 1.4, 1.5)
    assert (five.low, five.median, five.high) == pytest.approx((1.1, 1.3, 1.5))
    ten = of_ratios(*(1 + 0.1 * k for k in range(10)))
    assert ten.low is not None
    assert ten.high is not None
    assert 1.05 < ten.low < ten.median < ten.high < 1.85


@pytest.mark.parametrize(
    ("found", "said"),
    [
        (of_ratios(1.38, 1.42, 1.47), "1.42 times as fast (1.38 to 1.47)"),
        (of_ratios(0.5, 0.51, 0.52), "0.51 times as fast (0.50 to 0.52)"),
        (of_ratios(0.97, 1.01, 1.04), "no difference shown (0.97 to 1.04)"),
        (of_ratios(1.0, 1.0, 1.0), "no difference shown (1.00 to 1.00)"),
        (of_ratios(1.000001, 1.000002, 1.000003), "no difference shown (1.00 to 1.00)"),
        (of_ratios(1.002, 1.003, 1.006), "1.003 times as fast (1.002 to 1.006)"),
        (of_ratios(0.998, 1.0, 1.3), "no difference shown (0.998 to 1.300)"),
        (of_ratios(1.42), "1.42 times as fast (too few rounds for an interval)"),
        (of_ratios(1.0, 1.0), "1.00 times as fast (too few rounds for an interval)"),
        (of_ratios(11.04, 12.06, 250.0), "12.1 times as fast (11.0 to 250)"),
        (of_ratios(0.0123, 0.0234, 0.0345), "0.023 times as fast (0.012 to 0.035)"),
        (of_ratios(1.1, 1.2, 1.3, measure=TIME), "1.20 times as long (1.10 to 1.30)"),
        (of_ratios(0.8, 0.81, 0.83, measure=MEMORY), "0.81 of the memory (0.80 to 0.83)"),
        (of_ratios(1.8, 1.9, 2.0, measure=MEMORY), "1.90 times the memory (1.80 to 2.00)"),
        (of_ratios(0.8, 0.81, 0.83, measure=ENERGY), "0.81 of the energy a token (0.80 to 0.83)"),
    ],
)
def test_in_words(found: Ratio, said: str) -> None:
    assert found.said == said


@UNHURRIED
@given(st.lists(st.floats(0.3, 3), min_size=3, max_size=12))
def test_a_difference_is_said_only_where_the_interval_shows_one(ratios: list[float]) -> None:
    found = of_ratios(*ratios)
    assert found.low is not None
    assert found.high is not None
    if found.low <= 1 <= found.high:
        assert found.said.startswith("no difference shown")
    elif not 0.9999 < found.low < 1.0001 and not 0.9999 < found.high < 1.0001:
        assert "times as fast" in found.said
        assert " 1.00 " not in found.said.replace("(", " ").replace(")", " ")


def test_a_figure_is_of_the_finite_values() -> None:
    found = figure([3.0, 1.0, math.nan, 2.0, 10.0])
    assert (found.median, found.least, found.greatest) == (2.5, 1.0, 10.0)
    assert found.values == (3.0, 1.0, 2.0, 10.0)
    with pytest.raises(ValueError, match="at least one finite value"):
        figure([math.inf])
