"""The optimizers that come with graftlm, judged as anybody's."""

from __future__ import annotations

from graftlm.testing import OptimizerSuite
from graftlm_registry.plugins import registry


class TestAdamw(OptimizerSuite):
    optimizer = "adamw"
    dtypes = ("fp32", "bf16")


class TestAdafactor(OptimizerSuite):
    optimizer = "adafactor"


class TestSgd(OptimizerSuite):
    optimizer = "sgd"
    learning_rate = 0.1


class TestLion(OptimizerSuite):
    optimizer = "lion"
    learning_rate = 1e-3


class EightBits(OptimizerSuite):
    options = {"min_8bit_size": 1}  # tiny models have no tensor of 4,096 parameters
    others = {"min_8bit_size": 100_000}


class TestAdamw8bit(EightBits):
    optimizer = "adamw-8bit"


class TestLion8bit(EightBits):
    optimizer = "lion-8bit"
    learning_rate = 1e-3


class TestPagedAdamw(OptimizerSuite):
    """It steps on CUDA alone: what can be asked without."""

    optimizer = "paged-adamw"


class TestPagedAdamw8bit(EightBits):
    optimizer = "paged-adamw-8bit"


def test_all_of_them_are_judged() -> None:
    judged = {suite.optimizer for suite in _classes(OptimizerSuite) if hasattr(suite, "optimizer")}
    assert judged >= set(registry().names("optimizer"))


def _classes(suite: type[OptimizerSuite]) -> list[type[OptimizerSuite]]:
    found = suite.__subclasses__()
    return [*found, *(inner for each in found for inner in _classes(each))]
