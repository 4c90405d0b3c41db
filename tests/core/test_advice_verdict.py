"""What is recommended, from scores that are given: a table of cases."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from graftlm.contracts.conversation import Conversation, Message
from graftlm.contracts.outcome import Score
from graftlm.intervals import wilson
from graftlm.judging.advice.evidence import Cost, Evidence
from graftlm.judging.advice.faults import FEWEST_ROWS, ceiling, faults
from graftlm.judging.advice.knowledge import Association, Knowledge
from graftlm.judging.advice.material import material
from graftlm.judging.advice.paired import better
from graftlm.judging.advice.reasons import gains
from graftlm.judging.advice.variants import Tried, Variant
from graftlm.judging.advice.verdict import recommend

BARE = Variant("zero-shot")
COT = Variant("chain-of-thought")
NOTHING = Association(name="similar questions have similar answers", effect=0.0, p=0.5, small=0.1)
INFERABLE = Knowledge(rows=300, unseen=0.0, short=1.0, from_prompt=NOTHING, inferable=(NOTHING,))
KNOWLEDGE = replace(INFERABLE, unseen=1.0)
COST = Cost(rows=100, tokens=20, epochs=3)


def shots(count: int, choice: str = "random", each: int = 0) -> Variant:
    return Variant("few-shot", choice, count, each)  # type: ignore[arg-type]


def tried(variant: Variant, right: int, n: int = 100, extra: float = 0.0) -> Tried:
    """``right`` of ``n`` rows, with Wilson's interval as evaluators give it."""
    low, high = wilson(right, n)
    score = Score(
        evaluation=variant.name, role="new", metric="exact-match", moment="before", value=right / n, n=n, low=low,
        high=high, interval="wilson",
    )  # fmt: skip
    each = tuple(float(i < right) for i in range(n))
    return Tried(variant=variant, scores=(score,), each=each, prompt_tokens=20 + extra, extra=extra)


def evidence(*found: Tried, knowledge: Knowledge = INFERABLE, classes: int = 0, calls: int | None = None) -> Evidence:
    return Evidence(
        tried=found, good_enough=0.9, knowledge=knowledge, faults=(), classes=classes, cost=COST, calls=calls
    )


def row(question: str, answer: str) -> Conversation:
    return Conversation((Message("user", question), Message("assistant", answer)))


def test_the_cheapest_prompt_that_is_surely_good_enough() -> None:
    found = recommend(
        evidence(
            tried(BARE, 10), tried(shots(2), 99, extra=40), tried(shots(8), 100, extra=160), tried(COT, 98, extra=25)
        )
    )
    assert (found.action, found.sure, found.prompt) == ("prompt", True, "chain-of-thought")
    assert found.headline.startswith("Prompting is enough: with thinking step by step it gets 98% (93–99)")
    words = " ".join(found.reasons)
    assert "the highest score, 100% (96–100) with 8 random examples, takes 135 tokens more" in words
    assert "no difference shown (+2 points" in words
    assert "after 721 calls" in words  # 3 * 100 * 20 * 3 / 25
    assert found.figures["calls_to_break_even"] == 721


def test_of_prompts_that_are_as_cheap_the_better_one() -> None:
    found = recommend(evidence(tried(shots(1), 98, extra=20), tried(shots(1, "similar"), 100, extra=21)))
    assert found.prompt == "few-shot similar 1"
    assert any("looked up among the training rows in every call" in reason for reason in found.reasons)


def test_few_rows_make_it_probable_only() -> None:
    found = recommend(evidence(tried(BARE, 19, n=20)))
    assert (found.action, found.sure) == ("prompt", False)
    assert found.headline.startswith("Prompting is probably enough")
    assert "20 rows leave 76% possible" in found.reasons[0]
    assert not any("chosen out of" in reason for reason in found.reasons)  # there was one


@pytest.mark.parametrize(("calls", "action"), [(None, "prompt"), (100, "prompt"), (450, "prompt"), (451, "fine-tune")])
def test_many_calls_make_examples_too_dear(calls: int | None, action: str) -> None:
    """18,000 tokens of training are 450 calls with 40 tokens more."""
    found = recommend(evidence(tried(BARE, 10), tried(shots(2), 100, extra=40), calls=calls))
    assert found.action == action
    if action == "fine-tune":
        assert "too dear: its 40 extra tokens a call come to 18,040 in 451 calls" in found.reasons[0]
        assert found.sure


def test_a_bare_question_is_never_too_dear() -> None:
    found = recommend(evidence(tried(BARE, 100), calls=10**9))
    assert found.action == "prompt"
    assert any("no more than the bare question" in reason for reason in found.reasons)


def test_examples_that_do_not_help() -> None:
    found = recommend(
        evidence(tried(BARE, 0), tried(shots(1), 0, extra=20), tried(shots(20), 2, extra=400), classes=20)
    )
    assert (found.action, found.sure) == ("fine-tune", True)
    assert found.headline.startswith("Fine-tune: no prompt reaches 90%; the best, 20 random examples, gives 2%")
    assert "examples do not help: 0% with none, 2% with 20, no difference shown" in found.reasons[0]


def test_examples_that_help_no_more() -> None:
    found = recommend(evidence(tried(BARE, 5), *(tried(shots(k), 40 + k // 8, extra=20 * k) for k in (2, 4, 8, 16))))
    assert found.reasons[0].startswith("examples help, and not enough: 5% with none, 42% with 16, better (+37 points")
    assert found.reasons[1].startswith("more random examples no longer help: 41% with 8, 42% with 16, no difference")


def test_a_score_that_still_rises() -> None:
    found = recommend(evidence(tried(BARE, 5), *(tried(shots(k), 4 * k, extra=20 * k) for k in (2, 4, 8, 16))))
    assert "the score still rises with more random examples (32% with 8, 64% with 16): --shots 32" in found.reasons[1]


def test_many_classes_that_do_not_fit() -> None:
    unasked = Tried(variant=shots(40, "balanced", 1), why_not="does not fit 512 positions", longest=900)
    found = recommend(evidence(tried(BARE, 5), tried(shots(1), 5), unasked, classes=40))
    assert any("40 classes" in r and "does not fit 512 positions (900 tokens)" in r for r in found.reasons)


def test_rows_that_leave_the_other_side_possible() -> None:
    found = recommend(evidence(tried(BARE, 8, n=10)))
    assert (found.action, found.sure) == ("fine-tune", False)
    assert "10 rows leave it possible" in found.reasons[0]


@pytest.mark.parametrize(
    ("right", "knowledge", "action"),
    [
        (0, KNOWLEDGE, "retrieve"),
        (30, KNOWLEDGE, "retrieve"),
        (45, KNOWLEDGE, "fine-tune"),  # the model knows too many of them
        (95, KNOWLEDGE, "prompt"),
        (0, INFERABLE, "fine-tune"),
        (0, replace(KNOWLEDGE, from_prompt=replace(NOTHING, effect=0.9, p=0.001)), "fine-tune"),
        (0, replace(KNOWLEDGE, inferable=(NOTHING, replace(NOTHING, effect=0.3, p=0.005))), "fine-tune"),
        (0, replace(KNOWLEDGE, inferable=(replace(NOTHING, effect=0.05, p=0.005),)), "retrieve"),  # too small
        (0, replace(KNOWLEDGE, short=0.2), "fine-tune"),
        (0, replace(KNOWLEDGE, from_prompt=None, inferable=()), "fine-tune"),  # too few rows to tell
    ],
)
def test_knowledge_needs_all_its_evidence(right: int, knowledge: Knowledge, action: str) -> None:
    assert recommend(evidence(tried(BARE, right), tried(shots(4), 0), knowledge=knowledge)).action == action


def test_scores_of_nothing_and_of_all() -> None:
    for right, action in ((0, "fine-tune"), (100, "prompt")):
        found = recommend(evidence(*(tried(variant, right) for variant in (BARE, shots(1), COT))))
        assert (found.action, found.prompt) == (action, "zero-shot")


def test_one_row() -> None:
    found = recommend(evidence(tried(BARE, 0, n=1)))
    assert (found.action, found.sure) == ("fine-tune", False)
    assert "only 1 row was asked" in found.reasons[-1]
    found = recommend(evidence(tried(BARE, 1, n=1)))
    assert (found.action, found.sure) == ("prompt", False)


def test_a_metric_that_is_better_when_lower() -> None:
    def of(variant: Variant, value: float) -> Tried:
        score = Score(
            evaluation="x", role="new", metric="loss", moment="before", value=value, n=50, unit="nats",
            higher_is_better=False, low=value - 0.1, high=value + 0.1, interval="bootstrap", seed=0,
        )  # fmt: skip
        return Tried(variant=variant, scores=(score,), extra=variant.count)

    some = replace(evidence(of(BARE, 2.0), of(shots(2), 0.5), of(shots(4), 0.4)), good_enough=0.6)
    assert (recommend(some).prompt, recommend(some).sure) == ("few-shot random 2", True)
    assert some.best.variant.count == 4
    found = recommend(replace(some, good_enough=0.1, knowledge=KNOWLEDGE))
    assert (found.action, found.headline[:30]) == ("fine-tune", "Fine-tune: no prompt reaches 0")
    assert any("cannot be told" in reason for reason in found.reasons)


QUESTIONS = [row(f"question {i}", ("yes", "no")[i % 2]) for i in range(100)]
HELD = [row(f"held {i}", ("yes", "no")[i % 2]) for i in range(20)]


def kinds(train: Sequence[Conversation], held: Sequence[Conversation] = HELD, wanted: float | None = 0.9) -> list[str]:
    return [fault.kind for fault in faults(material(train, held, 100), wanted)]


def test_data_without_a_fault() -> None:
    assert kinds(QUESTIONS) == []
    assert kinds(QUESTIONS[:FEWEST_ROWS]) == []


def test_faults_of_data() -> None:
    assert kinds([]) == ["no-training-rows"]
    assert kinds(QUESTIONS[: FEWEST_ROWS - 1]) == ["few-rows"]
    assert kinds(QUESTIONS[:10] * 20) == ["few-rows"]
    both = [*QUESTIONS, *(row(f"question {i}", ("no", "yes")[i % 2]) for i in range(100))]
    assert ceiling(both) == 0.5
    assert kinds(both) == ["contradicting-rows"]
    assert kinds(both, wanted=None) == []  # where several answers may be right
    assert kinds(both[:105]) == []  # 100 of 105 can be right, and 0.9 is wanted
    rare = [*QUESTIONS, row("rare one", "perhaps")]
    assert kinds(rare, [*HELD, *(row(f"rare {i}", "perhaps") for i in range(5))]) == ["scarce-classes"]
    assert kinds(rare, [*HELD, row("rare", "perhaps")]) == []  # a twentieth of what is asked
    assert kinds(QUESTIONS, [*HELD, *(row(f"new {i}", "neither") for i in range(5))]) == ["scarce-classes"]


def test_one_class_alone() -> None:
    rows = [row(f"q{i}", "always") for i in range(60)]
    assert kinds(rows, [row("held", "always")]) == []
    assert material(rows, rows[:3], 3).classes == ("always",)


def test_faults_stand_before_tuning_and_not_before_prompting() -> None:
    found = faults(material(QUESTIONS[:3], HELD, 10), 0.9)
    poor = replace(evidence(tried(BARE, 5), knowledge=INFERABLE), faults=found)
    assert recommend(poor).action == "collect"
    assert "3 different questions" in recommend(poor).reasons[0]
    assert recommend(replace(poor, tried=(tried(BARE, 99),))).action == "prompt"
    dear = replace(poor, tried=(tried(shots(2), 99, extra=40),), calls=10_000)
    assert recommend(dear).action == "collect"
    assert "too dear" in recommend(dear).reasons[-1]


def test_gains_over_the_bare_question() -> None:
    found = gains((tried(BARE, 10), tried(shots(2), 60), Tried(variant=shots(4), why_not="does not fit")))
    assert list(found) == ["few-shot random 2"]
    assert better(found["few-shot random 2"])


NOTHING_CUT = "no answer had the marker 'Answer:', so nothing was cut out"


def unmarked(right: int) -> Tried:
    return replace(tried(COT, right, extra=60), unmarked=True, note=NOTHING_CUT)


@pytest.mark.parametrize(
    ("knowledge", "poor", "action"),
    [(INFERABLE, False, "fine-tune"), (KNOWLEDGE, False, "retrieve"), (INFERABLE, True, "collect")],
)
def test_a_chain_that_nothing_was_cut_out_of_says_nothing_against_prompting(
    knowledge: Knowledge, poor: bool, action: str
) -> None:
    some = evidence(tried(BARE, 20), tried(shots(2), 22, extra=40), unmarked(0), knowledge=knowledge)
    if poor:
        some = replace(some, faults=faults(material(QUESTIONS[:3], HELD, 10), 0.9))
    found = recommend(some)
    assert (found.action, found.sure) == (action, False)
    assert f"thinking step by step was not judged: {NOTHING_CUT}" in found.reasons[-1]
    assert "--cot-prompt" in found.reasons[-1]
    words = " ".join((found.headline, *found.reasons))
    assert "no prompt reaches" not in words
    assert "no prompt is good enough" not in words
    marked = recommend(replace(some, tried=(*some.tried[:2], tried(COT, 0, extra=60))))
    assert (marked.action, marked.sure) == (action, True)
    assert "was not judged" not in " ".join(marked.reasons)


def test_a_chain_without_a_marker_may_still_be_good() -> None:
    found = recommend(evidence(tried(BARE, 20), unmarked(99)))
    assert (found.action, found.sure, found.prompt) == ("prompt", True, "chain-of-thought")
    assert "was not judged" not in " ".join(found.reasons)


def test_a_chain_that_was_not_judged_gains_and_loses_nothing() -> None:
    assert list(gains((tried(BARE, 50), tried(shots(2), 60), unmarked(0)))) == ["few-shot random 2"]
