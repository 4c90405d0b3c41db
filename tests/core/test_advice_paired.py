"""What one prompt gains over another, paired by row."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from graftlm.contracts.outcome import Score
from graftlm.judging.advice.paired import better, gain
from graftlm.judging.advice.variants import Tried, Variant

BARE = Variant("zero-shot")


def of_each(each: Sequence[float], higher: bool = True) -> Tried:
    """What each row is worth, and the mean of it."""
    value = sum(each) / len(each) if each else 0.0
    score = Score(
        evaluation="x", role="new", metric="m", moment="before", value=value, n=len(each), higher_is_better=higher
    )
    return Tried(variant=BARE, scores=(score,), each=tuple(each))


def test_a_gain_is_over_pairs_of_rows() -> None:
    before, after = [0.0] * 50 + [1.0] * 50, [0.0] * 30 + [1.0] * 70
    found = gain(of_each(before), of_each(after))
    assert better(found)
    assert not found.worse
    assert found.low is not None
    assert 0.1 < found.low < 0.2 < (found.high or 0) < 0.3
    assert found.n == 100
    back = gain(of_each(after), of_each(before))
    assert (back.worse, better(back)) == (True, False)
    assert better(gain(of_each(after, higher=False), of_each(before, higher=False)))


def test_no_change_in_any_row_is_no_proof_of_none() -> None:
    found = gain(of_each([0.0] * 30), of_each([0.0] * 30))
    assert found.low is not None
    assert found.low < -0.05 < 0.05 < (found.high or 0)
    assert better(gain(of_each([0.0] * 30), of_each([1.0] * 30)))


@pytest.mark.parametrize(("before", "after"), [([], []), ([1.0], [0.0]), ([1.0, 0.0], [1.0])])
def test_a_gain_without_an_interval(before: list[float], after: list[float]) -> None:
    found = gain(of_each(before), of_each(after))
    assert (found.low, better(found), found.worse) == (None, False, False)
