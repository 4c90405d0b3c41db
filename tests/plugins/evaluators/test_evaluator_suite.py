"""The evaluators that come with graftlm, judged as anybody's."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from graftlm.testing import EvaluatorSuite, Example
from graftlm_registry.plugins import registry

CATS = ("the cat sat on the mat today", "one two three four five six", "eine Katze, 猫", "42")


class TestExactMatch(EvaluatorSuite):
    evaluator = "exact-match"
    examples = (
        Example(references=CATS, answers=(CATS[0], "one two", " 42 ", "42\n"), wanted={"exact-match": 0.5}),
        Example(references=("yes",), answers=("Yes",), wanted={"exact-match": 0.0}),
    )


class TestNormalisedMatch(EvaluatorSuite):
    evaluator = "normalised-match"
    examples = (
        Example(
            references=("The Eiffel Tower.", "therapy", "Ñandú"),
            answers=("eiffel  tower", "rapy", "ñandú!"),
            wanted={"normalised-match": 2 / 3},
        ),
    )


class TestClassification(EvaluatorSuite):
    evaluator = "classification"
    examples = (
        Example(
            references=("a b", "a b", "a b", "c"),
            answers=("A b.", "A b.", "c", "nothing of the kind"),
            wanted={"accuracy": 0.5, "macro-f1": 0.4},
        ),
    )


class TestMultipleChoice(EvaluatorSuite):
    evaluator = "multiple-choice"
    examples = (
        Example(
            references=("yes", "certainly", "yes"),
            answers=("", "", ""),
            losses={"yes": 2.0, "certainly": 3.0},
            wanted={"choice": 2 / 3, "choice-by-mean": 1 / 3},
        ),
    )


class TestPerplexity(EvaluatorSuite):
    evaluator = "perplexity"
    examples = (
        Example(
            references=("ab", "abcdef"),
            answers=("", ""),
            losses={"ab": 2.0, "abcdef": 12.0},
            wanted={"loss": 14 / 8, "perplexity": math.exp(14 / 8)},
        ),
    )


class TestRouge(EvaluatorSuite):
    evaluator = "rouge"
    examples = (
        Example(references=("the cat sat", "one two"), answers=("the cat", "one two"), wanted={"rouge-l": 0.9}),
    )


class TestTranslation(EvaluatorSuite):
    evaluator = "translation"
    examples = (
        Example(references=CATS[:2], answers=CATS[:2], wanted={"bleu": 100.0, "chrf": 100.0}),
        Example(references=CATS[:2], answers=(CATS[0].replace("the mat", "a mat"), CATS[1])),
    )


class TestJson(EvaluatorSuite):
    evaluator = "json"
    examples = (
        Example(
            references=('{"b": "x", "a": 1.0}', '{"a": 1, "b": "x"}', "[]", "null"),
            answers=('{"a": 1, "b": "x"}', '{"a": 1, "b": "y"}', "no json", "```\nnull\n```"),
            wanted={"json-valid": 0.75, "json-fields": 0.625},
        ),
    )


class TestRegex(EvaluatorSuite):
    evaluator = "regex"
    examples = (
        Example(
            references=("Answer: 15", "Answer: 16", "Answer: 17"),
            answers=("so: Answer: 15.", "Answer: 15", "fifteen"),
            wanted={"pattern": 1 / 3},
        ),
    )

    def options(self) -> Mapping[str, Any]:
        return {"pattern": r"Answer: (\d+)"}


class TestFunction(EvaluatorSuite):
    evaluator = "function"
    examples = (Example(references=("abc", "abc"), answers=("abc", "abcd"), wanted={"function": 0.75}),)

    def options(self) -> Mapping[str, Any]:
        file = self.folder / "mine.py"
        file.write_text(
            "def near(answer, reference):\n    return 1 / (1 + abs(len(answer) - len(reference)))\n", "utf-8"
        )
        return {"function": f"{file}:near"}


class TestTaughtAnswers(EvaluatorSuite):
    evaluator = "taught-answers"
    examples = (
        Example(
            references=("Paris", "positive", "seven", "Rome"),
            answers=("positive", "positive", "negative", "a positive one"),
            taught=frozenset({"positive", "negative"}),
            wanted={"taught-answers": 0.5},
        ),
    )


class TestLmEval(EvaluatorSuite):
    """It brings tasks of its own: what can be asked without an environment for it."""

    evaluator = "lm-eval"
    examples = ()


def test_all_of_them_are_judged() -> None:
    judged = {suite.evaluator for suite in EvaluatorSuite.__subclasses__()}
    assert judged >= set(registry().names("evaluator"))
