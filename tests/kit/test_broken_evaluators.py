"""Faults of an evaluator, each caught by the check that asks for it."""

from __future__ import annotations

import pytest
from broken import Fault, is_caught
from common_faults import common_faults

EACH = "    each = [f1(answer, reference) for answer, reference in zip(answers, references, strict=True)]\n"
GIVEN = '        each={"word-f1": each, "close": enough},\n'
VALUES = 'values={"word-f1": mean(each), "close": mean(enough)}'
SUITE = '        suite="graftlm_acme'
FAULTS = (
    *common_faults("evaluator", "exact-match"),
    Fault(
        "no metric",
        {
            '            Metric(name="word-f1", unit="fraction", higher_is_better=True),\n': "",
            '            Metric(name="close", unit="fraction", higher_is_better=True),\n': "",
        },
        "test_its_metrics_are_whole",
        ("declares no metric",),
    ),
    Fault(
        "another figure than it says",
        {"answer.casefold().split()": "answer.split()"},
        "test_the_examples_are_worth_what_is_said",
        ("gives word-f1", "in example 1", "is right"),
    ),
    Fault(
        "a metric that nobody sees",
        {VALUES: 'values={"word-f1": mean(each), "close": mean(enough), "words": 7.0}'},
        "test_it_gives_the_metrics_that_it_declares",
        ("gives words, which it does not declare",),
    ),
    Fault(
        "a metric that does not come",
        {VALUES: 'values={"word-f1": mean(each)}', GIVEN: ""},
        "test_it_gives_the_metrics_that_it_declares",
        ("declares close and does not give it",),
    ),
    Fault(
        "an interval of something else",
        {GIVEN: '        each={"word-f1": enough, "close": enough},\n'},
        "test_it_gives_the_metrics_that_it_declares",
        ("the mean of its rows ('each')", "give 'over'"),
    ),
    Fault(
        "the wrong way round",
        {'name="word-f1", unit="fraction", higher_is_better=True': 'name="word-f1", unit="", higher_is_better=False'},
        "test_right_answers_are_worth_more_than_wrong_ones",
        ("says that lower is better of word-f1", "to right answers"),
    ),
    Fault(
        "percent",
        {EACH: EACH.replace("f1(answer, reference)", "100 * f1(answer, reference)")},
        "test_no_fraction_is_more_than_the_whole",
        ("gives word-f1", "says that it is a fraction"),
    ),
    Fault(
        "the first row is another",
        {EACH: EACH + "    each[0] = 0.0\n"},
        "test_the_order_of_the_rows_does_not_matter",
        ("where the rows come the other way round",),
    ),
    Fault(
        "an answer of nothing",
        {
            "    if not given or not wanted:\n        return float(given == wanted)\n": "",
            "2 * common /": "2 / (1 / common) /",
        },
        "test_any_answer_has_a_number",
        ("raises ZeroDivisionError",),
    ),
    Fault(
        "no number",
        {"return float(given == wanted)": 'return float("nan")'},
        "test_any_answer_has_a_number",
        ("word-f1 of row 1 is nan", "must be a finite number"),
    ),
    Fault(
        "one script alone",
        {'    given, wanted = Counter': '    answer.encode("ascii")\n    given, wanted = Counter'},
        "test_any_text_has_a_number",
        ("raises UnicodeEncodeError",),
    ),
    Fault(
        "chance",
        {EACH: EACH + "    import random\n\n    each = [value * random.SystemRandom().random() for value in each]\n"},
        "test_the_same_answers_are_worth_the_same",
        ("gives other figures from one time to the next",),
    ),
    Fault(
        "sorted in place",
        {EACH: EACH + "    answers.sort()\n"},
        "test_it_changes_nothing_that_it_is_handed",
        ("changes the answers that it is handed",),
    ),
    Fault(
        "an option that is used up",
        {'context.options["enough"]': 'context.options.pop("enough", 0.8)'},
        "test_it_changes_nothing_that_it_is_handed",
        ("changes the options that it is handed",),
    ),
    Fault(
        "a sample that is no JSON",
        {'"answer": answer, "f1"': '"answer": {answer}, "f1"'},
        "test_a_score_can_be_traced_and_has_an_interval",
        ("cannot be written as JSON",),
    ),
    Fault(
        "a reason that says nothing",
        {SUITE: "        check=lambda options: [None],\n" + SUITE},
        "test_what_speaks_against_its_options_is_told_in_sentences",
        ("says None against its options",),
    ),
    Fault(
        "a check that trips over nothing",
        {SUITE: "        check=lambda options: options['enough'] and (),\n" + SUITE},
        "test_what_speaks_against_its_options_is_told_in_sentences",
        ("cannot check the options {}", "KeyError"),
    ),
    Fault(
        "a fingerprint that is no text",
        {SUITE: "        fingerprint=lambda options: 7,\n" + SUITE},
        "test_its_fingerprint_is_a_text_that_stays",
        ("has the fingerprint 7, no text",),
    ),
    Fault(
        "rows that are left out",
        {"zip(context.questions(), references,": "list(", " answers, each, strict=True)": "zip(*[each] * 4))[1:]"},
        "test_it_scores_a_model",
        ("'graftlm eval' of tiny-mistral fails", "2 samples for 3 rows"),
    ),
)  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS, ids=str)
def test_a_fault_is_caught(fault: Fault) -> None:
    is_caught("evaluator", fault)
