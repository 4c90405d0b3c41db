"""An evaluator that is given answers: what is asked of it stands in ``evaluators``."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from graftlm.contracts.errors import RunError
from graftlm.contracts.evaluating import EvaluationResult
from graftlm.contracts.specs import Evaluator
from graftlm_registry.plugins import registry

from .answered import Answers, Example
from .gaps import skip_unless
from .suite import Suite

if TYPE_CHECKING:
    from graftlm.worker.measured import Measured


class ScoringSuite(Suite):
    """What the checks of an evaluator are made of."""

    kind = "evaluator"
    needs = ("examples",)
    evaluator: ClassVar[str]
    examples: ClassVar[Sequence[Example]]
    wrong_answer: ClassVar[str] = "something else entirely"
    """What no reference of the examples is, and no answer that is worth anything."""
    exact: ClassVar[float] = 1e-6
    """Largest relative error of a figure of the examples."""

    def options(self) -> Mapping[str, Any]:
        """Values of its options, such as a file in ``self.folder``."""
        return {}

    @property
    def spec(self) -> Evaluator:
        return registry().get(Evaluator, self.evaluator)

    @property
    def who(self) -> str:
        return f"evaluator '{self.evaluator}'"

    def whole_options(self, example: Example | None = None) -> dict[str, Any]:
        known = {option.name: option.default for option in self.spec.options}
        return {**known, **self.options(), **(example.options if example else {})}

    def score(self, answers: Answers) -> EvaluationResult:
        """What the worker would be given."""
        from graftlm.worker.targets import resolve_target

        found: EvaluationResult = resolve_target(self.spec.target)(answers)
        return found

    @property
    def given(self) -> Sequence[Example]:
        """The examples, where it scores rows and can do so here."""
        skip_unless(not self.spec.own_tasks, "it scores tasks of its own, and no rows")
        self.needs_it_to_run()
        assert self.examples, f"the suite of {self.who} gives no examples: nothing can be asked of it"
        return self.examples

    def answers(self, example: Example) -> Answers:
        return Answers(example, self.whole_options(example))

    def measured(self, answers: Answers) -> Measured:
        """As the worker takes it: with a sample and finite numbers for each row, or ``RunError``."""
        from graftlm.worker.measured import Measured

        return Measured("the suite", "new", self.spec, self.score(answers), len(answers.example.references)).sound()

    def sound(self, example: Example) -> None:
        said = f"{self.who}, asked about the answers {_short(example.answers)}"
        try:
            found = self.measured(self.answers(example))
            json.dumps([dict(sample) for sample in found.result.samples])
        except RunError as error:
            raise AssertionError(f"{said}: {error}") from error
        except Exception as error:
            if type(error).__name__ == "SkipTest":
                raise
            raise AssertionError(f"{said}, raises {type(error).__name__}: {error}") from error


def _short(answers: Sequence[str]) -> str:
    said = repr(list(answers))
    return said if len(said) < 200 else f"{said[:200]}…"
