"""Slopes: the power that was put in comes out, chance widens it, and the words claim no more than it shows."""

from __future__ import annotations

import math
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from graftlm.comparing.model import Measure, Slope
from graftlm.comparing.slopes import fitted

TIME = Measure(name="step_seconds", label="Step time", unit="s", higher_is_better=False)
LENGTHS = (512.0, 1024.0, 2048.0)

Points = list[tuple[float, list[float]]]


def slope(points: Points, setting: str = "max-length") -> Slope:
    found = fitted(points, measure=TIME, setting=setting, cells="peft")
    assert found is not None
    return found


def power(exponent: float, *factors: float, values: tuple[float, ...] = LENGTHS) -> Points:
    """Each value has one run for each factor, which is by how much chance moved it."""
    return [(value, [value**exponent * factor for factor in factors]) for value in values]


def noisy(exponent: float, noise: float, runs: int = 5, seed: int = 0) -> Points:
    draw = random.Random(seed)
    return [(value, [value**exponent * math.exp(draw.gauss(0, noise)) for _ in range(runs)]) for value in LENGTHS]


@given(
    st.floats(-3, 3),
    st.floats(1e-3, 1e3),
    st.lists(st.integers(1, 4096), min_size=2, max_size=6, unique=True),
    st.integers(1, 4),
)
@settings(deadline=None, max_examples=50)
def test_a_power_without_noise_comes_out(exponent: float, scale: float, values: list[int], runs: int) -> None:
    found = slope([(value, [scale * value**exponent] * runs) for value in values])
    assert found.exponent == pytest.approx(exponent, abs=1e-6)
    assert (found.low is None) == (len(values) * (runs - 1) < 3) == (found.high is None)
    if found.low is not None:
        assert (found.low, found.high) == pytest.approx((exponent, exponent), abs=1e-6)
    assert [value for value, _ in found.points] == sorted(values)


def test_it_is_least_squares_over_all_runs() -> None:
    """Against the textbook's sums, with unequal numbers of runs."""
    points: Points = [(1.0, [1.0, 1.5]), (2.0, [2.5]), (4.0, [3.0, 5.0, 6.0])]
    pairs = [(math.log(value), math.log(run)) for value, runs in points for run in runs]
    n, sx, sy = len(pairs), sum(x for x, _ in pairs), sum(y for _, y in pairs)
    sxy, sxx = sum(x * y for x, y in pairs), sum(x * x for x, _ in pairs)
    found = slope(points)
    assert found.exponent == pytest.approx((n * sxy - sx * sy) / (n * sxx - sx * sx))
    assert found.points == ((1.0, 1.25), (2.0, 2.5), (4.0, 5.0))
    assert (found.measure, found.cells) == ("step_seconds", "peft")


@given(st.integers(0, 1000), st.floats(-2, 2))
@settings(deadline=None, max_examples=20)
def test_the_order_of_runs_changes_nothing(seed: int, exponent: float) -> None:
    points = noisy(exponent, 0.1, runs=3, seed=seed)
    draw = random.Random(seed)
    turned = [(value, draw.sample(runs, len(runs))) for value, runs in reversed(points)]
    apart = [(value, [run]) for value, runs in turned for run in runs]
    assert slope(points) == slope(turned) == slope(apart)


@given(st.integers(0, 1000), st.floats(1e-3, 1e3))
@settings(deadline=None, max_examples=20)
def test_the_unit_changes_nothing(seed: int, unit: float) -> None:
    points = noisy(1.3, 0.05, seed=seed)
    one, other = slope(points), slope([(value, [run * unit for run in runs]) for value, runs in points])
    assert (one.exponent, one.low, one.high) == pytest.approx((other.exponent, other.low, other.high))


def test_the_interval_widens_with_noise_and_narrows_with_runs() -> None:
    def width(found: Slope) -> float:
        assert found.low is not None
        assert found.high is not None
        assert found.low < found.exponent < found.high
        return found.high - found.low

    assert width(slope(power(1.3, 0.99, 1.0, 1.01))) < width(slope(power(1.3, 0.9, 1.0, 1.1)))
    assert width(slope(power(1.3, *[0.9, 1.0, 1.1] * 8))) < width(slope(power(1.3, 0.9, 1.0, 1.1)))


def test_the_interval_holds_the_true_power_about_as_often_as_it_says() -> None:
    """Five runs a value: 93 in 100 by simulation; 60 in 60 would be as wrong as 45."""
    held = 0
    for seed in range(60):
        found = slope(noisy(1.3, 0.05, seed=seed))
        assert found.low is not None
        assert found.high is not None
        held += found.low <= 1.3 <= found.high
    assert 49 <= held <= 59


def test_what_has_no_logarithm_is_left_out() -> None:
    points: Points = [(0.0, [1.0]), (-1.0, [1.0]), (8.0, [math.nan, 8.0]), (16.0, [0.0, 16.0]), (32.0, [math.inf])]
    assert slope(points).exponent == pytest.approx(1)
    assert slope(points).points == ((8.0, 8.0), (16.0, 16.0))
    assert fitted(points[:3], measure=TIME, setting="rank", cells="") is None
    assert fitted([(8.0, [1.0]), (8.0, [2.0])], measure=TIME, setting="rank", cells="") is None
    assert fitted([], measure=TIME, setting="rank", cells="") is None


@pytest.mark.parametrize(
    ("points", "said"),
    [
        (power(1.31, 1.0, 1.0), "step time grows as max-length^1.31 (1.31 to 1.31)"),
        (power(-0.5, 1.0, 1.0), "step time falls as max-length^−0.50 (−0.50 to −0.50)"),
        (power(0.004, 1.0, 1.0), "step time grows as max-length^0.004 (0.004 to 0.004)"),
        (power(1.31, 1.0), "step time grows as max-length^1.31 (too few runs for an interval)"),
        (power(1.0, 1.0, values=(1.0, 2.0)), "step time grows as max-length^1.00 (too few runs for an interval)"),
        (power(0.0, 1.0, 1.0), "step time does not change with max-length (0.00 to 0.00)"),
        (power(1.0, 1.0, 1.0), "step time grows about in proportion to max-length (1.00 to 1.00)"),
    ],
)
def test_in_words(points: Points, said: str) -> None:
    assert slope(points).said == said


@pytest.mark.parametrize(
    ("points", "said"),
    [
        (power(0.0, 0.99, 1.0, 1.01), "step time does not change with max-length (−"),
        (power(0.0, 0.7, 1.0, 1.4), "step time shows no clear change with max-length (−"),
        (power(1.0, 0.99, 1.0, 1.01), "step time grows about in proportion to max-length (0.9"),
        (power(1.0, 0.7, 1.0, 1.4), "step time grows as max-length^1.00 (0."),
        (power(0.5, 0.2, 1.0, 5.0), "how step time goes with max-length is not clear from these runs (−"),
    ],
)
def test_words_claim_no_more_than_the_interval_shows(points: Points, said: str) -> None:
    assert slope(points).said.startswith(said)
