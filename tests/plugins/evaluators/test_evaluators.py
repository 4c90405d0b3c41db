"""What each evaluator makes of answers: values, one number a row, and what is kept to trace them by."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from graftlm.api import EvaluationResult, RunError
from graftlm.contracts.specs import Evaluator
from graftlm_plugins.evaluators import (
    classification,
    exact_match,
    json_fields,
    multiple_choice,
    normalised_match,
    pattern,
    perplexity,
    rouge,
    taught_answers,
    translation,
    user_function,
)
from graftlm_registry.plugins import registry


class Context:
    """Answers that were given, in the place of a model."""

    longest_reference = 8
    taught = frozenset({"positive", "negative"})

    def __init__(
        self, references: Sequence[str], answers: Sequence[str] = (), losses: Mapping[str, float] | None = None,
        **options: Any,
    ) -> None:  # fmt: skip
        self._references, self._answers, self._losses, self.options = references, answers, losses or {}, options

    def questions(self) -> list[str]:
        return [f"question {i}" for i in range(len(self._references))]

    def references(self) -> Sequence[str]:
        return self._references

    def generate(self, max_new_tokens: int) -> list[str]:
        return list(self._answers)

    def answer_losses(self, answers: Sequence[str] | None = None) -> list[tuple[float, int]]:
        return [(self._losses[answer], len(answer)) for answer in answers or self._references]


def scored(evaluator: Any, *arguments: Any, **options: Any) -> EvaluationResult:
    context: Any = Context(*arguments, **options)
    found: EvaluationResult = evaluator.score(context)
    return found


def test_every_evaluator_gives_each_of_its_metrics() -> None:
    specs = registry().all(Evaluator)
    assert {spec.name for spec in specs} >= {
        "exact-match", "normalised-match", "classification", "multiple-choice", "perplexity", "rouge", "translation",
        "json", "regex", "function",
    }  # fmt: skip


def test_exact_match_wants_the_same_words() -> None:
    found = scored(exact_match, ["green", " red ", "blue"], ["green", "red", "Blue"])
    assert found.values == {"exact-match": pytest.approx(2 / 3)}
    assert list(found.each["exact-match"]) == [True, True, False]
    assert found.samples[2] == {"question": "question 2", "reference": "blue", "answer": "Blue", "right": False}


@pytest.mark.parametrize(
    ("answer", "reference", "same"),
    [
        ("The Eiffel Tower.", "eiffel tower", True), ("a  cat", "CAT!", True), ("ＡＢＣ", "abc", True),
        ("therapy", "rapy", False), ("...", "...", True), ("...", "!!", False), ("the", "a", False),
        ("Ñandú", "ñandú", True),
    ],
)  # fmt: skip
def test_normalised_match_passes_over_what_is_no_word(answer: str, reference: str, same: bool) -> None:
    assert scored(normalised_match, [reference], [answer]).values["normalised-match"] == float(same)


@given(st.text())
def test_normalising_twice_is_normalising_once(text: str) -> None:
    once = normalised_match.normalised(text)
    assert normalised_match.normalised(once) == once


def test_classification_weighs_classes_alike() -> None:
    found = scored(classification, ["a b", "a b", "a b", "c"], ["A b.", "A b.", "c", "nothing of the kind"])
    assert found.values["accuracy"] == 0.5
    # "b": 2 right of 3 wanted and 2 given; "c": none right of 1 wanted and 1 given
    assert found.values["macro-f1"] == pytest.approx((2 * 2 / 5 + 0) / 2)
    assert [sample["given"] for sample in found.samples] == ["b", "b", "c", None]
    assert found.over is not None
    assert found.over(np.array([0, 0, 1, 1])) == {"macro-f1": 1.0}


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(-1, 3)), min_size=1))
def test_macro_f1_is_the_mean_of_each_class_s_f1(rows: list[tuple[int, int]]) -> None:
    wanted, given_ = (np.array(each) for each in zip(*rows, strict=True))
    each = []
    for label in sorted({int(x) for x in (*wanted, *given_) if x >= 0}):
        true = sum(w == label == g for w, g in rows)
        precision = true / max(1, sum(g == label for _, g in rows))
        recall = true / max(1, sum(w == label for w, _ in rows))
        each.append(2 * precision * recall / (precision + recall) if true else 0.0)
    assert classification.macro_f1(wanted, given_, 4) == pytest.approx(sum(each) / len(each))


def test_multiple_choice_takes_the_likeliest() -> None:
    """By the sum of its loss, a short answer wins; by the mean, the long one."""
    found = scored(multiple_choice, ["yes", "certainly", "yes"], (), {"yes": 2.0, "certainly": 3.0})
    assert found.values == {"choice": pytest.approx(2 / 3), "choice-by-mean": pytest.approx(1 / 3)}
    assert found.samples[1]["losses"] == {"yes": 2.0, "certainly": 3.0}
    wider = scored(multiple_choice, ["yes"], (), {"yes": 2.0, "no": 1.0}, choices=("no",))
    assert wider.values["choice"] == 0


def test_of_many_answers_a_row_has_its_own_and_others_that_are_drawn() -> None:
    references = [str(100 + i) for i in range(40)]
    losses = {reference: float(i == 0) for i, reference in enumerate(references)} | {"100": 0.5}
    found = scored(multiple_choice, references, (), losses)
    for sample in found.samples:
        assert len(sample["losses"]) == multiple_choice.MOST
        assert sample["reference"] in sample["losses"]
    assert found.samples == scored(multiple_choice, references, (), losses).samples


def test_perplexity_is_over_tokens_and_not_over_rows() -> None:
    found = scored(perplexity, ["ab", "abcdef"], (), {"ab": 2.0, "abcdef": 12.0})
    assert found.values["perplexity"] == pytest.approx(math.exp(14 / 8))
    assert found.over is not None
    assert found.over(np.array([0, 0]))["perplexity"] == pytest.approx(math.e)


def test_rouge_l_is_the_library_s() -> None:
    found = scored(rouge, ["the cat sat", "one two"], ["the cat", "one two"])
    assert found.values["rouge-l"] == pytest.approx((0.8 + 1.0) / 2)
    assert found.each["rouge-l"] == [pytest.approx(0.8), 1.0]


def test_bleu_and_chrf_are_the_library_s_also_over_chosen_rows() -> None:
    from sacrebleu import corpus_bleu, corpus_chrf

    references = ["the cat sat on the mat today", "one two three four five", "a b c d e"]
    answers = ["the cat sat on a mat today", "one two three four six", "x y z"]
    found = scored(translation, references, answers)
    assert found.values == {
        "bleu": pytest.approx(corpus_bleu(answers, [references]).score),
        "chrf": pytest.approx(corpus_chrf(answers, [references]).score),
    }
    assert found.over is not None
    rows = [0, 0, 2]
    chosen, theirs = [answers[i] for i in rows], [[references[i] for i in rows]]
    assert found.over(np.array(rows)) == {
        "bleu": pytest.approx(corpus_bleu(chosen, theirs).score),
        "chrf": pytest.approx(corpus_chrf(chosen, theirs).score),
    }


@pytest.mark.parametrize(
    ("answer", "reference", "valid", "fields"),
    [
        ('{"a": 1, "b": "x"}', '{"b": "x", "a": 1.0}', 1, 1.0),
        ('{"a": 1, "b": "y"}', '{"a": 1, "b": "x"}', 1, 0.5),
        ('{"a": {"b": [1, 2]}}', '{"a": {"b": [1, 3], "c": []}}', 1, 1 / 3),
        ('```json\n{"a": 1}\n```', '{"a": 1}', 1, 1.0),
        ('{"a": true}', '{"a": 1}', 1, 0.0),
        ('{"a": 1', '{"a": 1}', 0, 0.0),
        ("null", "null", 1, 1.0),
        ("no json", "no json", 0, 1.0),
        ("[" * 5000, "[]", 0, 0.0),
    ],
)
def test_json_fields_are_compared_at_their_place(answer: str, reference: str, valid: int, fields: float) -> None:
    found = scored(json_fields, [reference], [answer])
    assert found.values == {"json-valid": valid, "json-fields": pytest.approx(fields)}


def test_a_pattern_with_a_group_compares_what_it_finds() -> None:
    answers, references = ["so: Answer: 15.", "Answer: 16", "fifteen"], ["Answer: 15", "Answer: 15", "Answer: 15"]
    assert list(scored(pattern, references, answers, pattern=r"Answer: (\d+)").each["pattern"]) == [True, False, False]
    assert list(scored(pattern, references, answers, pattern=r"\d+").each["pattern"]) == [True, True, False]
    assert scored(pattern, ["no number"], ["Answer: 3"], pattern=r"Answer: (\d+)").values["pattern"] == 1


def test_options_that_cannot_be_are_told_before_anything_runs(tmp_path: Path) -> None:
    assert "needs a regular expression" in pattern.against({})[0]
    assert "is no regular expression" in pattern.against({"pattern": "("})[0]
    assert pattern.against({"pattern": "x"}) == ()
    assert "needs a function of yours" in user_function.against({"function": "file.py"})[0]
    assert "there is no Python file" in user_function.against({"function": f"{tmp_path}/none.py:score"})[0]
    (tmp_path / "mine.py").write_text("", encoding="utf-8")
    assert user_function.against({"function": f"{tmp_path}/mine.py:score"}) == ()


def test_a_function_of_the_user_s_is_called_with_answer_and_reference(tmp_path: Path) -> None:
    file = tmp_path / "mine.py"
    file.write_text("def near(answer, reference):\n    return 1 / (1 + abs(len(answer) - len(reference)))\n", "utf-8")
    found = scored(user_function, ["abc", "abc"], ["abc", "abcd"], function=f"{file}:near")
    assert found.values == {"function": 0.75}
    file.write_text("def near(answer, reference):\n    return answer / 2\n", "utf-8")
    with pytest.raises(RunError, match="failed on the answer 'abc' with the reference 'x': TypeError"):
        scored(user_function, ["x"], ["abc"], function=f"{file}:near")
    with pytest.raises(RunError, match="cannot be imported: AttributeError"):
        scored(user_function, ["x"], ["abc"], function=f"{file}:far")


def test_a_taught_answer_is_a_side_effect_where_it_is_not_the_right_one() -> None:
    found = scored(
        taught_answers, ["Paris", "positive", "", "Rome"], ["positive", "positive", "negative", "a positive one"]
    )
    assert found.values == {"taught-answers": 0.5}
    assert list(found.each["taught-answers"]) == [True, False, True, False]


def test_a_text_has_a_loss_and_its_perplexity() -> None:
    found = scored(perplexity, ["abc", "de"], losses={"abc": 6.0, "de": 1.0})
    assert found.values == {"loss": pytest.approx(7 / 5), "perplexity": pytest.approx(math.exp(7 / 5))}
