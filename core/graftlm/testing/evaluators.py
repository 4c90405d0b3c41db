"""What is asked of an evaluator: figures that mean what they say, for whatever a model answers."""

from __future__ import annotations

import copy
import json
import math
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from graftlm.contracts.config import RunConfig
from graftlm.contracts.errors import GraftlmError
from graftlm.judging.evaluating import evaluate
from graftlm_registry.plugins import registry

from .answered import odd, right, wrong
from .gaps import optional, skip_unless
from .in_process import start_in_process
from .manners import is_sentence
from .numbers import near
from .short_runs import share_what_is_found

if TYPE_CHECKING:
    pass


from .scoring import ScoringSuite


class EvaluatorSuite(ScoringSuite):
    """Subclass, name the ``evaluator``, and give ``examples``: answers, and what they are worth. One that brings tasks
    of its own needs none.
    """

    def test_its_metrics_are_whole(self) -> None:
        metrics = self.spec.metrics
        assert metrics or self.spec.own_tasks, f"{self.who} declares no metric, and has no tasks of its own"
        names = [metric.name for metric in metrics]
        assert len(set(names)) == len(names), f"{self.who} declares a metric twice: {', '.join(names)}"
        for name in names:
            assert name.strip() == name != "", f"{self.who} has a metric {name!r}, which is no name for a table"

    def test_the_examples_are_worth_what_is_said(self) -> None:
        for number, example in enumerate(self.given, 1):
            found = self.score(self.answers(example)).values
            for name, wanted in example.wanted.items():
                assert name in found, f"{self.who} gives no {name} in example {number}: it gives {', '.join(found)}"
                assert near(found[name], wanted, rel=self.exact, abs=self.exact), (
                    f"{self.who} gives {name} {found[name]:.6g} in example {number}, and {wanted:.6g} is right"
                )

    def test_it_gives_the_metrics_that_it_declares(self) -> None:
        """All of them and no other; ``each`` has the numbers whose mean they are, ``over`` is of chosen rows."""
        import numpy as np

        declared = {metric.name for metric in self.spec.metrics}
        for example in self.given:
            found = self.score(self.answers(example))
            more, less = sorted({*found.values, *found.each} - declared), sorted(declared - found.values.keys())
            assert not more, f"{self.who} gives {', '.join(more)}, which it does not declare: nobody sees it"
            assert not less, f"{self.who} declares {', '.join(less)} and does not give it"
            for name, each in found.each.items():
                mean = sum(map(float, each)) / max(1, len(each))
                assert near(found.values[name], mean, rel=1e-6, abs=1e-9), (
                    f"{self.who} gives {name} {found.values[name]:.6g}, and the mean of its rows ('each') is "
                    f"{mean:.6g}: its interval would be of something else. Leave it out of 'each', and give 'over'"
                )
            if found.over is not None:
                again = found.over(np.arange(len(example.references)))
                for name, value in again.items():
                    assert near(found.values[name], value, rel=1e-6, abs=1e-9), (
                        f"{self.who} gives {name} {found.values[name]:.6g}, and 'over' all rows {value:.6g}"
                    )

    def test_right_answers_are_worth_more_than_wrong_ones(self) -> None:
        """By ``higher_is_better``; a fraction of right answers is the best that there is."""
        for example in self.given:
            best = self.score(self.answers(right(example, self.wrong_answer))).values
            worst = self.score(self.answers(wrong(example, self.wrong_answer))).values
            for metric in self.spec.metrics:
                good, bad = best[metric.name], worst[metric.name]
                sense = "higher" if metric.higher_is_better else "lower"
                assert good > bad if metric.higher_is_better else good < bad, (
                    f"{self.who} says that {sense} is better of {metric.name}, and gives {good:.6g} to right answers "
                    f"and {bad:.6g} to wrong ones"
                )
                top = 1.0 if metric.higher_is_better else 0.0
                assert metric.unit != "fraction" or near(good, top, abs=1e-9), (
                    f"{self.who} gives right answers {metric.name} {good:.6g}, a fraction that is {top:g} at best"
                )

    def test_no_fraction_is_more_than_the_whole(self) -> None:
        fractions = {metric.name for metric in self.spec.metrics if metric.unit == "fraction"}
        for example in self.given:
            for asked in (example, right(example, self.wrong_answer), wrong(example, self.wrong_answer), odd(example)):
                found = self.score(self.answers(asked))
                for name in fractions:
                    for value in (found.values[name], *found.each.get(name, ())):
                        assert 0 <= value <= 1, f"{self.who} gives {name} {value:.6g}, and says that it is a fraction"

    def test_the_order_of_the_rows_does_not_matter(self) -> None:
        for example in self.given:
            plain, turned = self.score(self.answers(example)), self.score(self.answers(example.turned()))
            for name, value in plain.values.items():
                assert near(turned.values[name], value, rel=1e-6, abs=1e-9), (
                    f"{self.who} gives {name} {value:.6g}, and {turned.values[name]:.6g} where the rows come the other "
                    "way round"
                )
            for name, each in plain.each.items():
                assert near(list(map(float, turned.each[name])), list(map(float, reversed(each))), abs=1e-9), (
                    f"{self.who} gives the rows other {name} where they come the other way round"
                )

    def test_any_answer_has_a_number(self) -> None:
        """Empty, endless, in any script, half of a JSON: in the worker an exception is a score that is left out."""
        for example in self.given:
            for asked in (odd(example), *(example.cut(row) for row in range(min(2, len(example.references))))):
                self.sound(asked)

    @optional
    def test_any_text_has_a_number(self) -> None:
        """What hypothesis thinks of."""
        try:
            from hypothesis import HealthCheck, Phase, given, settings
            from hypothesis import strategies as st
        except ModuleNotFoundError:
            skip_unless(False, "hypothesis is not installed")
        example = self.given[0]
        rows = len(example.references)
        texts = st.lists(st.text(max_size=30), min_size=rows, max_size=rows)

        @settings(
            max_examples=30, deadline=None, database=None, derandomize=True, phases=[Phase.generate, Phase.shrink],
            suppress_health_check=list(HealthCheck),
        )  # fmt: skip
        @given(texts)
        def ask(answers: list[str]) -> None:
            self.sound(replace(example, answers=tuple(answers)))

        ask()

    @optional
    def test_a_row_that_does_not_fit_is_no_right_one(self) -> None:
        """Its loss is told as 0 of 0 tokens, which is no loss of 0."""
        for example in self.given:
            skip_unless(len(example.references) > 1, "the example has one row alone")
            whole = right(example, self.wrong_answer)
            answers = self.answers(whole)
            best = self.score(answers).values
            skip_unless(answers.losses_asked, "it asks for no losses")
            part = self.measured(self.answers(replace(whole, unfit=1))).result.values
            for metric in self.spec.metrics:
                good, less = best[metric.name], part[metric.name]
                better = less > good if metric.higher_is_better else less < good
                assert not better or near(less, good, rel=1e-6), (
                    f"{self.who} gives {metric.name} {good:.6g}, and the better {less:.6g} where a row does not fit "
                    "the model's positions: (0.0, 0) is no loss of 0"
                )

    def test_the_same_answers_are_worth_the_same(self) -> None:
        for example in self.given:
            one, other = self.score(self.answers(example)), self.score(self.answers(example))
            assert dict(one.values) == dict(other.values), f"{self.who} gives other figures from one time to the next"
            assert one.samples == other.samples, f"{self.who} gives other samples from one time to the next"

    def test_it_changes_nothing_that_it_is_handed(self) -> None:
        """The rows, answers and options belong to the other evaluators too."""
        for example in self.given:
            answers = self.answers(example)
            before = copy.deepcopy(answers.state())
            self.score(answers)
            for name, was in before.items():
                assert answers.state()[name] == was, f"{self.who} changes the {name} that it is handed"

    def test_a_score_can_be_traced_and_has_an_interval(self) -> None:
        """Its samples are written as JSON; what a score's interval is, lies around the score."""
        for example in self.given:
            measured = self.measured(self.answers(example))
            path = self.folder / "samples.jsonl"
            try:
                measured.write(path)
            except TypeError as error:
                raise AssertionError(f"a sample of {self.who} cannot be written as JSON: {error}") from error
            samples = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
            assert len(samples) == len(example.references), f"{self.who} gives {len(samples)} samples"
            for score in measured.scores("after"):
                if score.low is not None and score.high is not None:
                    assert math.isfinite(score.low) and math.isfinite(score.high), (
                        f"{self.who}: {score.metric}'s interval"
                    )
                    assert score.low - 1e-9 <= score.value <= score.high + 1e-9, (
                        f"{self.who} gives {score.metric} {score.value:.6g}, outside of its interval "
                        f"({score.low:.6g} to {score.high:.6g})"
                    )

    @optional
    def test_what_speaks_against_its_options_is_told_in_sentences(self) -> None:
        """And nothing speaks against those of the suite."""
        check = self.spec.check
        skip_unless(check, "it does not check its options")
        if check is None:
            return
        for options in (self.whole_options(), {option.name: option.default for option in self.spec.options}, {}):
            try:
                reasons = check(options)
            except Exception as error:
                raise AssertionError(
                    f"{self.who} cannot check the options {options}: {type(error).__name__}: {error}"
                ) from error
            for reason in reasons:
                assert is_sentence(reason), f"{self.who} says {reason!r} against its options, which is no sentence"
        against = check(self.whole_options())
        assert not against, f"{self.who} has something against the options of its own suite: {'; '.join(against)}"

    @optional
    def test_its_fingerprint_is_a_text_that_stays(self) -> None:
        fingerprint = self.spec.fingerprint
        skip_unless(fingerprint, "its options stand for nothing beside their text")
        if fingerprint is None:
            return
        for options in (self.whole_options(), {}):
            found = [fingerprint(options) for _ in range(2)]
            assert all(isinstance(each, str) for each in found), f"{self.who} has the fingerprint {found[0]!r}, no text"
            assert found[0] == found[1], f"{self.who} has another fingerprint from one time to the next"

    def test_it_scores_a_model(self) -> None:
        """``graftlm eval`` of a tiny model, on the rows of the first example."""
        answers = self.answers(self.given[0])
        share_what_is_found()
        rows = zip(answers.questions(), answers.references(), strict=True)
        data = self.folder / "rows.jsonl"
        data.write_text("".join(json.dumps({"input": q, "output": r}) + "\n" for q, r in rows), encoding="utf-8")
        warnings: list[str] = []

        def on_event(event: Mapping[str, Any]) -> None:
            if event["event"] == "warning":
                warnings.append(str(event["message"]))

        config = RunConfig(
            data=str(data), evaluator=self.evaluator, options={"evaluator": dict(answers.options)}, device="cpu",
            dtype="fp32", retention=False,
        )  # fmt: skip
        try:
            (found,) = evaluate(config, ("tiny-mistral",), (), "", registry(), on_event, start=start_in_process)
        except GraftlmError as error:
            raise AssertionError(f"'graftlm eval' of tiny-mistral fails with {self.who}: {error}") from error
        scored = {score.metric: score for score in found.record.scores}
        said = f": {'; '.join(warnings)}" if warnings else ""
        for metric in self.spec.metrics:
            assert metric.name in scored, f"'graftlm eval' has no {metric.name} by {self.who}{said}"
            assert scored[metric.name].n == len(answers.example.references), (
                f"{metric.name} is of {scored[metric.name].n} rows"
            )
