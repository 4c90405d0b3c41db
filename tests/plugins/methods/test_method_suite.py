"""The tuning methods that come with graftlm, judged as anybody's."""

from __future__ import annotations

import pytest

from graftlm.contracts.specs import TuningMethod
from graftlm.testing import MethodSuite
from graftlm.testing.choosing import suite_of
from graftlm.testing.judging import judge
from graftlm_registry.plugins import registry

SPECS = {spec.name: spec for spec in registry().all(TuningMethod)}
QUICK = ("lora", "full", "freeze", "dora", "ia3")
"""Judged in every run of the tests; the others take as long, each some seconds."""


def chosen() -> list[object]:
    names = (name for name, spec in SPECS.items() if not spec.unavailable)
    return [name if name in QUICK else pytest.param(name, marks=pytest.mark.slow) for name in names]


@pytest.mark.parametrize("name", chosen())
def test_it_is_what_graftlm_asks_of_a_method(name: str) -> None:
    suite, unasked = suite_of(SPECS[name], built_in=True)
    assert issubclass(suite, MethodSuite)
    assert not unasked
    verdicts = list(judge(suite))
    assert [f"{verdict.check}: {verdict.reason}" for verdict in verdicts if verdict.state in ("failed", "gap")] == []
    assert [verdict.check for verdict in verdicts if verdict.state == "not asked" and not verdict.optional] == []


@pytest.mark.parametrize("name", [name for name, spec in SPECS.items() if spec.unavailable])
def test_what_cannot_be_chosen_says_why(name: str) -> None:
    verdicts = list(judge(suite_of(SPECS[name], built_in=True)[0]))
    assert [f"{verdict.check}: {verdict.reason}" for verdict in verdicts if verdict.state == "failed"] == []
