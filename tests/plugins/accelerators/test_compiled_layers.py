"""Compiled layers: the same gradients, in place, and nothing left of them."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

import pytest
from small_models import small_model

from graftlm.testing import AcceleratorSuite
from graftlm.testing.gradients import gradients


@pytest.mark.skipif(not shutil.which("g++"), reason="no C++ compiler here")
class Compiled(AcceleratorSuite):
    @pytest.fixture(autouse=True, params=("mistral", pytest.param("falcon-7b", marks=pytest.mark.slow)))
    def _model(self, request: pytest.FixtureRequest, tmp_path: Path) -> None:
        self.models = (str(small_model(request.param, tmp_path)),)


class TestTraced(Compiled):
    """What torch makes of the layers, run by torch itself: without the minutes that a C++ compiler takes."""

    accelerators = ("supervised-logits", "compile")
    options: ClassVar[Mapping[str, Mapping[str, str]]] = {"compile": {"compiler": "aot_eager"}}

    def test_the_gradients_are_those_of_plain_execution(self) -> None:
        """Both layers are the same code; the second comes with a gradient, which is another version of it."""
        (model,) = self.models
        plain = gradients(self.plain(model), self.folder)
        found = gradients(self._plan(model, self.accelerators), self.folder)
        assert found.error(plain) <= self.tolerance, model
        assert found.loss == pytest.approx(plain.loss, rel=self.tolerance)
        assert found.left == plain.left
        assert found.happened["compile"] == {"layers": 2, "graphs": 2, "graph breaks": 0, "recompilations": 1}

    @pytest.mark.slow
    def test_in_bf16_they_are_as_near_to_fp32_as_plain_execution(self) -> None:
        super().test_in_bf16_they_are_as_near_to_fp32_as_plain_execution()

    @pytest.mark.slow
    def test_checkpointing_changes_no_gradient(self) -> None:
        """And layers are compiled all the same: torch leaves one alone that it cannot see into behind a checkpoint."""
        super().test_checkpointing_changes_no_gradient()
        for model in self.models:
            for names in (("varlen", "compile"), ("sdpa", "compile")):
                plan = self._plan(model, names, gradient_checkpointing=True)
                assert plan.problems or gradients(plan, self.folder).happened["compile"]["graphs"] > 0, names

    @pytest.mark.slow
    def test_fifty_steps_go_the_same_way(self) -> None:
        super().test_fifty_steps_go_the_same_way()

    @pytest.mark.slow
    def test_nothing_of_it_is_left_afterwards(self) -> None:
        super().test_nothing_of_it_is_left_afterwards()


@pytest.mark.slow
class TestCompiledToCode(Compiled):
    """By the compiler, and with packed rows, whose attention stays as it is."""

    accelerators = ("varlen", "supervised-logits", "compile")
