"""The optimizers that come with graftlm, judged as anybody's."""

from __future__ import annotations

import pytest

from graftlm.testing import OptimizerSuite
from graftlm.testing.choosing import suite_of
from graftlm.testing.judging import judge
from graftlm_registry.plugins import registry

ON_A_GPU = ("paged-adamw", "paged-adamw-8bit")


@pytest.mark.parametrize("name", registry().names("optimizer"))
def test_it_is_what_graftlm_asks_of_an_optimizer(name: str) -> None:
    suite, unasked = suite_of(registry().find("optimizer", name)[1], built_in=True)
    assert issubclass(suite, OptimizerSuite)
    assert not unasked
    verdicts = list(judge(suite))
    assert [f"{verdict.check}: {verdict.reason}" for verdict in verdicts if verdict.state in ("failed", "gap")] == []
    left = [verdict.check for verdict in verdicts if verdict.state == "not asked" and not verdict.optional]
    assert bool(left) == (name in ON_A_GPU)
