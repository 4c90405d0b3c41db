"""Where wrong rows are: groups with intervals, confused classes, and what is said of them."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from graftlm.cli.gap_report import breakdown_table, confusion_text
from graftlm.contracts.conversation import Conversation, Message
from graftlm.contracts.outcome import Score
from graftlm.judging.gaps.answered import AnsweredRow, chosen, wrong_ones
from graftlm.judging.gaps.breakdown import Group, breakdowns, by_kind, group
from graftlm.judging.gaps.conclusion import by_chance, conclusion
from graftlm.judging.gaps.confusion import confusion
from graftlm.judging.gaps.kinds import Kind


def row(
    i: int, *, wrong: bool = False, label: str = "", named: str = "", tokens: int = 5, kind: Kind = "wrong-answer"
) -> AnsweredRow:
    return AnsweredRow(
        row=i, source=f"a:b.jsonl:{i + 1}", capability="", prompt_tokens=tokens, prompt="p", wanted=label, said=named,
        value=float(not wrong), wrong=wrong, kind=kind if wrong else None, label=label, named=named or label,
    )  # fmt: skip


def score(unit: str = "fraction", higher: bool = True) -> Score:
    return Score(
        evaluation="e", role="new", metric="m", moment="before", value=0, n=1, unit=unit, higher_is_better=higher
    )


def told(rows: list[AnsweredRow]) -> str:
    every = group("all", len(rows), sum(r.wrong for r in rows))
    return "\n".join(conclusion(every, by_kind(rows), breakdowns(rows)))


def test_what_is_wrong() -> None:
    assert wrong_ones([1, 0, 1.0], score()) == ([False, True, False], "m is 0")
    assert wrong_ones([1, 0], score(higher=False)) == ([True, False], "m is 1")
    assert wrong_ones([0, 0], score()) == ([True, True], "m is 0")
    graded = [0.1, 0.9, 0.5, 1.0, 0.2, 0.9, 0.9, 0.9]
    wrong, words = wrong_ones(graded, score())
    assert [value for value, bad in zip(graded, wrong, strict=True) if bad] == [0.1, 0.2]
    assert words == "m is in its worst quarter (at most 0.2)"
    wrong, words = wrong_ones(graded, score(higher=False))
    assert [value for value, bad in zip(graded, wrong, strict=True) if bad] == [0.9, 1.0, 0.9, 0.9, 0.9]  # one tie
    assert words == "m is in its worst quarter (at least 0.9)"
    assert wrong_ones([0.5] * 4, score())[0] == [False] * 4


@given(st.lists(st.floats(0, 1), min_size=1, max_size=40), st.booleans())
def test_no_right_row_is_worse_than_a_wrong_one(values: list[float], higher: bool) -> None:
    wrong, _ = wrong_ones(values, score(higher=higher))
    better = 1 if higher else -1
    bad = [v * better for v, w in zip(values, wrong, strict=True) if w]
    good = [v * better for v, w in zip(values, wrong, strict=True) if not w]
    assert not bad or not good or max(bad) < min(good)


def test_rows_are_chosen_by_what_they_hold() -> None:
    rows = [Conversation((Message("user", str(i)), Message("assistant", "a")), f"f:{i}") for i in range(50)]
    few = chosen(rows, 10)
    assert [r.source for r in few] == sorted((r.source for r in few), key=lambda s: int(s[2:]))
    shuffled = random.Random(1).sample(rows, 50)
    assert {r.source for r in chosen(shuffled, 10)} == {r.source for r in few}
    assert {r.source for r in few} <= {r.source for r in chosen(rows, 11)}
    assert chosen(rows, 50) is rows


@given(st.lists(st.tuples(st.booleans(), st.sampled_from("abc"), st.integers(1, 9)), min_size=1, max_size=40))
def test_every_row_is_in_one_group_of_each_breakdown(said: list[tuple[bool, str, int]]) -> None:
    rows = [row(i, wrong=wrong, label=label, tokens=tokens) for i, (wrong, label, tokens) in enumerate(said)]
    for part in breakdowns(rows):
        assert sum(g.n for g in part.groups) == len(rows)
        assert sum(g.wrong for g in part.groups) == sum(r.wrong for r in rows)
        assert all(g.low <= g.share <= g.high for g in part.groups)
        assert 1 < len(part.groups) <= (4 if part.by == "prompt tokens" else 3)


def test_lengths_in_four_parts() -> None:
    rows = [row(i, tokens=n) for i, n in enumerate([3, 3, 4, 5, 9, 12, 30, 31])]
    (part,) = breakdowns(rows)
    assert [(g.name, g.n) for g in part.groups] == [("3", 2), ("4–5", 2), ("9–12", 2), ("30–31", 2)]


def test_confused_classes() -> None:
    rows = [
        *(row(i, label="law") for i in range(3)),
        *(row(i, wrong=True, label="law", named="chess") for i in range(2)),
        row(5, label="chess"),
    ]
    none = row(6, wrong=True, label="chess", kind="wrong-format")
    found = confusion([*rows, AnsweredRow(**{f: getattr(none, f) for f in none.__slots__} | {"named": ""})])
    assert found is not None
    assert (found.classes, found.counts) == (("chess", "law"), ((1, 0, 1), (2, 3, 0)))
    assert [(p.wanted, p.said, p.count, p.of) for p in found.pairs] == [("law", "chess", 2, 5), ("chess", "", 1, 2)]
    assert confusion_text(found).splitlines()[1:] == [
        "chess                1    ·       1",
        "law                  2    3       ·",
    ]
    assert confusion([row(0)]) is None


def test_many_classes_are_told_by_pairs_and_by_their_worst() -> None:
    names = [f"class {i:02}" for i in range(20)]
    rows = [row(i, wrong=True, label=name, named=names[i - 1]) for i, name in enumerate(names)]
    found = confusion([*rows, row(99, label=names[3])])
    assert found is not None
    text = confusion_text(found)
    assert len(text.splitlines()) == 17
    assert text.endswith("… and 5 more pairs (--json has all)")
    (part,) = breakdowns([*rows, row(99, label=names[3])])
    assert "… and 8 more, 8 of 9 wrong (--json has all)" in breakdown_table(part)


def test_files_are_told_by_the_end_of_their_paths() -> None:
    rows = [AnsweredRow(**{f: getattr(row(0), f) for f in row(0).__slots__} | {"source": f"{'long/' * 20}{name}:1"})
            for name in ("a.jsonl", "b.jsonl")]  # fmt: skip
    (part,) = breakdowns(rows)
    first, second = breakdown_table(part).splitlines()[1:]
    assert "long/a.jsonl  0 of 1" in first
    assert "long/b.jsonl  0 of 1" in second


def test_chance_is_a_permutation_test() -> None:
    def groups(*counts: tuple[int, int]) -> list[Group]:
        return [group("", n, wrong) for wrong, n in counts]

    assert by_chance(groups((10, 10), (0, 10))) < 0.001
    assert by_chance(groups((5, 10), (5, 10))) == 1.0
    assert by_chance(groups((0, 3), (0, 3))) == by_chance(groups((3, 3), (3, 3))) == 1.0
    assert by_chance(groups((2, 2), (0, 2))) == pytest.approx(1 / 3, abs=0.03)  # 2 of the 6 ways to place them


def uneven(i: int) -> bool:
    return i % 3 == 0


def even(i: int) -> bool:
    return random.Random(i).random() < 0.33


@pytest.mark.parametrize(("fails", "seen"), [(uneven, True), (even, False)])
def test_a_class_is_blamed_where_it_is_more_than_chance(fails: Callable[[int], bool], seen: bool) -> None:
    rows = [row(i, wrong=fails(i), label="abc"[i % 3], kind="wrong-label") for i in range(90)]
    text = told(rows)
    assert text.startswith("Most failures are 'wrong-label' (names another class): ")
    assert ("By class, 30 of the 30 failures are in 1 of 3 groups: a (30 of 30)." in text) == seen
    assert ("no groups differ by more than chance may bring" in text) != seen
    assert "are few" not in text


def test_few_rows_are_called_few() -> None:
    assert "20 rows are few: the share of wrong rows may be anything from" in told(
        [row(i, wrong=i < 5) for i in range(20)]
    )
    assert told([row(i) for i in range(5)]).startswith("None of the 5 rows is wrong.")
    assert "Every row is wrong" in told([row(i, wrong=True) for i in range(5)])
    small = [row(i, wrong=i % 8 < 2, label=f"c{i % 8}", kind="wrong-label") for i in range(56)]
    assert "Each has few rows (the smallest 7): which of them is worst is not sure." in told(small)


def test_prompts_that_do_not_fit_are_told_apart_from_what_the_model_says() -> None:
    long = [row(i, wrong=True, kind="too-long", tokens=900) for i in range(6)]
    right = [row(i) for i in range(50)]
    text = told([*long, *(row(9, wrong=True, kind="refuses") for _ in range(4)), *right])
    first, second, *_ = text.splitlines()
    assert first.startswith("6 of the 60 rows are too long: their prompts do not fit the model's positions")
    assert "--context-length" in first
    assert second.startswith("Most of the other failures are 'refuses' (begins like a refusal): 4 of 4.")
    alone = told([*long, *right])
    assert "other failures" not in alone
    assert "template" not in alone
    one = told([long[0], *right])
    assert one.startswith("1 of the 51 rows is too long: its prompt does not fit the model's positions")
