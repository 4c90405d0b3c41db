"""What graftlm asks of Acme's evaluator: ``graftlm plugins check evaluator/acme`` runs it, and so does pytest."""

from __future__ import annotations

from graftlm.testing import EvaluatorSuite, Example


class AcmeSuite(EvaluatorSuite):
    evaluator = "acme"
    # what was answered, and what that is worth: reckon it by hand
    examples = (
        Example(
            references=("green", "the cat sat", "Paris"),
            answers=("Green", "the cat", "in Rome"),
            wanted={"word-f1": (1 + 0.8 + 0) / 3, "close": 2 / 3},
        ),
    )
