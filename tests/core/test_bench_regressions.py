"""Two reports: a slowdown is found, chance is not called one, and what is no longer there is said."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from graftlm.comparing.model import CellReport, Measure, Report
from graftlm.comparing.ratios import figure
from graftlm.comparing.regressions import Change, compare_reports, differs_in, unpaired_ratio
from graftlm.contracts.errors import UsageError

SPEED = Measure(name="tokens_per_second", label="tokens/s", unit="tokens/s", higher_is_better=True, compared=True)
MEMORY = Measure(name="peak_memory", label="peak memory", unit="bytes", higher_is_better=False, compared=True)
LOSS = Measure(name="final_loss", label="final loss", unit="nats", higher_is_better=False)

samples = st.lists(st.floats(0.5, 2), min_size=3, max_size=9)


def cell(
    name: str = "peft", /, *, status: Any = "finished", relation: Any = "same computation", **more: Any
) -> CellReport:
    return CellReport(name=name, settings={}, status=status, relation=relation, baseline="trl", **more)


def measured(values: list[float], measure: Measure = SPEED, **more: Any) -> CellReport:
    return cell(figures={measure.name: figure(values)}, **more)


def report(*cells: CellReport, **more: Any) -> Report:
    fields: dict[str, Any] = {
        "title": "cpu",
        "created": "2026-11-22",
        "about": {"device": "one CPU", "torch": "2.9"},
        "settings": {"max-length": "512"},
        "rounds": 5,
        "warmup": 2,
        "measures": (SPEED, MEMORY, LOSS),
    }
    return Report(**(fields | more), cells=cells)


def only(old: CellReport, new: CellReport, threshold: float = 0.03) -> Change:
    (change,) = compare_reports(report(old), report(new), threshold)
    return change


def drawn(draw: random.Random, centre: float, rounds: int = 5, noise: float = 0.02) -> list[float]:
    return [draw.gauss(centre, noise * centre) for _ in range(rounds)]


@pytest.mark.parametrize("rounds", [3, 4, 5, 6, 9])
def test_chance_is_rarely_called_a_regression(rounds: int) -> None:
    draw = random.Random(11)
    verdicts = [
        only(measured(drawn(draw, 100, rounds)), measured(drawn(draw, 100, rounds))).verdict for _ in range(200)
    ]
    # By simulation of 2,000: 1.4% each for 3 rounds, 0.6% for 5, 0.2% for 9.
    most = 10 if rounds < 5 else 5
    assert verdicts.count("regression") <= most
    assert verdicts.count("improvement") <= most


@pytest.mark.parametrize(("measure", "slower"), [(SPEED, 100 / 1.2), (MEMORY, 120.0)])
def test_a_slowdown_by_a_fifth_is_always_found(measure: Measure, slower: float) -> None:
    draw = random.Random(12)
    for _ in range(200):
        before, after = measured(drawn(draw, 100), measure), measured(drawn(draw, slower), measure)
        worse, better = only(before, after), only(after, before)
        assert (worse.verdict, worse.is_regression) == ("regression", True)
        assert (better.verdict, better.is_regression) == ("improvement", False)


@given(samples, samples, st.floats(0, 0.5), st.sampled_from([SPEED, MEMORY]))
@settings(deadline=None)
def test_the_verdict_is_the_rule(before: list[float], after: list[float], threshold: float, measure: Measure) -> None:
    """The interval on one side of 1, and the median further from 1 than the threshold."""
    change = only(measured(before, measure), measured(after, measure), threshold)
    ratio = change.ratio
    assert ratio is not None
    assert ratio.low is not None
    assert ratio.high is not None
    assert ratio.low <= ratio.median <= ratio.high
    grew = ratio.low > 1 and ratio.median > 1 + threshold
    shrank = ratio.high < 1 and 1 / ratio.median > 1 + threshold
    worse, better = (shrank, grew) if measure.higher_is_better else (grew, shrank)
    assert change.verdict == ("regression" if worse else "improvement" if better else "noise")


@given(samples, samples)
@settings(deadline=None)
def test_turned_round_the_ratio_is_the_reciprocal(before: list[float], after: list[float]) -> None:
    one = unpaired_ratio(figure(after), figure(before), SPEED)
    other = unpaired_ratio(figure(before), figure(after), SPEED)
    assert one is not None
    assert other is not None
    assert one.low is not None
    assert one.high is not None
    assert (other.median, other.low, other.high) == pytest.approx((1 / one.median, 1 / one.high, 1 / one.low))


@given(samples, samples, st.randoms(use_true_random=False))
@settings(deadline=None)
def test_rounds_are_not_pairs(before: list[float], after: list[float], draw: random.Random) -> None:
    shuffled = draw.sample(after, len(after))
    assert only(measured(before), measured(after)) == only(measured(before), measured(shuffled))


def test_the_interval_agrees_with_random_resamples() -> None:
    draw = random.Random(13)
    before, after = drawn(draw, 100, 9, 0.1), drawn(draw, 110, 8, 0.1)
    found = unpaired_ratio(figure(after), figure(before), SPEED)
    assert found is not None
    assert found.low is not None
    assert found.high is not None
    resampled = sorted(
        figure(draw.choices(after, k=8)).median / figure(draw.choices(before, k=9)).median for _ in range(20_000)
    )
    # The middle of 8 is a geometric mean in one and an arithmetic mean in the other: a hair apart.
    assert resampled[380] * 0.99 <= found.low <= resampled[620] * 1.01
    assert resampled[-621] * 0.99 <= found.high <= resampled[-381] * 1.01


def test_under_three_rounds_nothing_is_told() -> None:
    change = only(measured([100.0, 101.0, 99.0]), measured([50.0, 51.0]))
    assert change.verdict == "noise"
    assert change.said == "too few rounds to tell (0.50 times as fast in 2)"
    assert change.ratio is not None
    assert (change.ratio.low, change.ratio.high) == (None, None)


def test_the_threshold_is_of_the_median() -> None:
    before, after = [100.0, 100.1, 100.2], [98.0, 98.1, 98.2]
    assert only(measured(before), measured(after)).verdict == "noise"
    assert only(measured(before), measured(after), 0.01).verdict == "regression"
    assert only(measured(after), measured(before), 0.01).verdict == "improvement"
    with pytest.raises(UsageError, match="threshold"):
        compare_reports(report(), report(), -0.1)


@pytest.mark.parametrize(
    ("before", "after", "measure", "said"),
    [
        ([100.0, 101.0, 102.0], [80.0, 81.0, 82.0], SPEED, "worse: 0.80 times as fast (0.78 to 0.82)"),
        ([80.0, 81.0, 82.0], [100.0, 101.0, 102.0], SPEED, "better: 1.25 times as fast (1.22 to 1.27)"),
        ([80.0, 81.0, 82.0], [100.0, 101.0, 102.0], MEMORY, "worse: 1.25 times the memory (1.22 to 1.27)"),
        ([99.0, 100.0, 101.0], [99.0, 100.0, 101.0], SPEED, "no difference shown (0.98 to 1.02)"),
        (
            [100.0, 100.1, 100.2],
            [101.0, 101.1, 101.2],
            SPEED,
            "no more than the threshold of 3%: 1.01 times as fast (1.01 to 1.01)",
        ),
        ([1.0, 1.0, 1.0], [0.0, 0.0, 0.0], MEMORY, "no positive figures on both sides to compare"),
    ],
)
def test_in_words(before: list[float], after: list[float], measure: Measure, said: str) -> None:
    assert only(measured(before, measure), measured(after, measure)).said == said


FINE = measured([100.0, 101.0, 102.0])
GATE = "the first loss differs by 0.02"


@pytest.mark.parametrize(
    ("old", "new", "verdict", "said"),
    [
        (
            FINE,
            cell(status="failed", reason="out of memory"),
            "now fails",
            "finished before, now failed: out of memory",
        ),
        (FINE, cell(status="unavailable", reason="no CUDA"), "now fails", "finished before, now unavailable: no CUDA"),
        (FINE, cell(status="unfinished"), "now fails", "finished before, now unfinished"),
        (
            FINE,
            replace(FINE, relation="not comparable", reason=GATE),
            "no longer comparable",
            f"not comparable now: {GATE}",
        ),
        (
            FINE,
            replace(FINE, relation="another computation"),
            "no longer comparable",
            "another computation than its baseline's now",
        ),
        (
            replace(FINE, relation="not comparable"),
            replace(FINE, relation="not comparable", reason=GATE),
            "noise",
            f"not comparable, before and now: {GATE}",
        ),
        (
            replace(FINE, relation="not comparable"),
            FINE,
            "improvement",
            "comparable now; before it was not, so that it has no earlier figures",
        ),
        (
            cell(status="unavailable"),
            FINE,
            "new",
            "finished now; before it was unavailable, so that it has no earlier figures",
        ),
        (
            cell(status="failed"),
            cell(status="unavailable", reason="no CUDA"),
            "noise",
            "not finished before (failed), nor now (unavailable: no CUDA)",
        ),
    ],
)
def test_what_became_of_a_cell(old: CellReport, new: CellReport, verdict: str, said: str) -> None:
    change = only(old, new)
    assert (change.cell, change.measure, change.verdict, change.said) == ("peft", "", verdict, said)
    assert change.ratio is None
    assert change.is_regression == (verdict in ("now fails", "no longer comparable"))


def test_another_baseline_is_no_regression() -> None:
    changes = compare_reports(
        report(FINE), report(replace(FINE, relation="another computation", baseline="peft-nf4")), threshold=0.03
    )
    assert [(change.measure, change.verdict) for change in changes] == [("tokens_per_second", "noise")]


def test_cells_that_come_and_go_are_named_in_order() -> None:
    old = report(cell("a"), cell("gone"), cell("b", status="failed"))
    new = report(cell("new", status="failed", reason="out of memory"), cell("b", status="failed"), cell("a"))
    changes = compare_reports(old, new)
    assert [(change.cell, change.verdict) for change in changes] == [("new", "new"), ("b", "noise"), ("gone", "gone")]
    assert changes[0].said == "in the new report only (failed: out of memory)"
    assert changes[-1].said == "in the old report only"
    assert not any(change.is_regression for change in changes)


def test_only_measures_that_are_compared_are_and_lost_ones_are_named() -> None:
    three = figure([1.0, 2.0, 3.0])
    old = report(cell(figures={"tokens_per_second": three, "final_loss": three}))
    new = report(cell(figures={"peak_memory": three, "final_loss": three}))
    changes = compare_reports(old, new)
    assert {(change.measure, change.verdict) for change in changes} == {
        ("tokens_per_second", "gone"),
        ("peak_memory", "new"),
    }


def test_another_unit_is_not_compared_but_told() -> None:
    old, new = report(FINE), report(FINE, measures=(replace(SPEED, unit="ktokens/s"),))
    assert compare_reports(old, new) == ()
    assert differs_in(old, new) == ("unit of tokens_per_second was tokens/s and is ktokens/s.",)


def test_what_makes_reports_hard_to_compare() -> None:
    def cells(attention: str) -> tuple[CellReport, ...]:
        return tuple(cell(name, computation=1, ran={"attention": attention, "precision": "fp32"}) for name in "abcde")

    old = report(*cells("sdpa"), computations={1: "lora in fp32, 410 rows"})
    new = report(
        *cells("eager")[:4],
        cell("e", computation=1, ran={"attention": "sdpa", "precision": "fp32"}),
        about={"device": "another CPU", "torch": "2.9", "driver": "580"},
        settings={"max-length": "1024"},
        rounds=3,
        computations={1: "lora in fp32, 400 rows"},
    )
    assert differs_in(old, new) == (
        "device was one CPU and is another CPU.",
        "driver was not given and is 580.",
        "--max-length was 512 and is 1024.",
        "rounds was 5 and is 3.",
        "attention was sdpa and is eager (in a, b, c and 1 more).",
        "computation was lora in fp32, 410 rows and is lora in fp32, 400 rows (in every cell).",
    )
    assert differs_in(old, replace(old, created="another day", title="again")) == ()
