"""The tuning methods that come with graftlm, judged as anybody's."""

from __future__ import annotations

import pytest
from tuning import SMALL

from graftlm.contracts.specs import TuningMethod
from graftlm.testing import MethodSuite
from graftlm.testing.judging import judge
from graftlm_registry.plugins import registry

QUICK = ("dora", "ia3", "vera")
"""Of PEFT's other methods, those that are judged in every run of the tests: each takes some seconds."""
NO_FALCON = {"glora": "its own linear layers are no nn.Linear"}


class TestLora(MethodSuite):
    method = "lora"


class TestFull(MethodSuite):
    method = "full"
    learning_rate = 1e-3


class TestFreeze(MethodSuite):
    method = "freeze"
    learning_rate = 1e-3


def others() -> list[str]:
    """By name, without those that cannot be chosen."""
    judged = {suite.method for suite in (TestLora, TestFull, TestFreeze)}
    return sorted(
        spec.name for spec in registry().all(TuningMethod) if spec.name not in judged and not spec.unavailable
    )


@pytest.mark.parametrize("name", [n if n in QUICK else pytest.param(n, marks=pytest.mark.slow) for n in others()])
def test_the_other_methods(name: str) -> None:
    class Judged(MethodSuite):
        method = name
        options = SMALL.get(name, {})
        models = MethodSuite.models[:-1] if name in NO_FALCON else MethodSuite.models

    failed = [f"{verdict.words}: {verdict.reason}" for verdict in judge(Judged) if verdict.state == "failed"]
    assert not failed


@pytest.mark.parametrize("spec", [s for s in registry().all(TuningMethod) if s.unavailable], ids=lambda spec: spec.name)
def test_what_cannot_be_chosen_says_why(spec: TuningMethod) -> None:
    class Judged(MethodSuite):
        method = spec.name

    for verdict in judge(Judged):
        assert verdict.state in ("passed", "not asked"), verdict.reason
