"""Accelerators on CUDA: the gradients of plain execution in fp32 and bf16, alone and in every allowed combination."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import pytest
import torch
from small_models import small_model

from graftlm.testing import AcceleratorSuite
from graftlm_registry.installed import installed_version

pytestmark = pytest.mark.gpu
PACKED = ("mistral", "qwen3", "qwen3_moe", "glm4")


class OnCuda(AcceleratorSuite):
    """``named`` must be allowed on every model; what else is in ``accelerators`` goes with it where it can."""

    device = "cuda"
    tolerance = 1e-4
    """Other kernels sum in another order; of a sample that sees another, the error is a thousand times this."""
    named: ClassVar[str]
    package: ClassVar[str] = ""

    @pytest.fixture(autouse=True)
    def _needed(self) -> None:
        if not torch.cuda.is_available():
            pytest.skip("no CUDA device here")
        if self.package and not installed_version(self.package):
            pytest.skip(f"{self.package} is not installed here")

    @pytest.mark.parametrize("dtype", ["fp32", "bf16"])
    def test_the_plan_allows_it(self, dtype: str) -> None:
        for model in self.models:
            plan = self._plan(model, (self.named,), dtype=dtype)
            assert (plan.problems, plan.device) == ((), "cuda")
            assert self.largest(model, dtype=dtype), "no combination is allowed"


class TestVarlen(OnCuda):
    """In fp32 a sample after the other, in bf16 by torch's kernel for packed rows."""

    named = "varlen"
    accelerators = ("varlen", "fused-lora", "supervised-logits")

    @pytest.fixture(autouse=True, params=PACKED)
    def _model(self, request: pytest.FixtureRequest, tmp_path: Path) -> None:
        self.models = (str(small_model(request.param, tmp_path)),)


class TestPadded(OnCuda):
    """What stays where samples cannot be packed."""

    named = "fused-lora"
    accelerators = ("fused-lora", "supervised-logits")

    @pytest.fixture(autouse=True, params=("falcon-7b", "falcon_h1", "qwen3_next"))
    def _model(self, request: pytest.FixtureRequest, tmp_path: Path) -> None:
        self.models = (str(small_model(request.param, tmp_path)),)


class TestFlex(OnCuda):
    named = "flex"
    accelerators = ("flex", "fused-lora", "supervised-logits")

    @pytest.fixture(autouse=True, params=PACKED)
    def _model(self, request: pytest.FixtureRequest, tmp_path: Path) -> None:
        self.models = (str(small_model(request.param, tmp_path)),)


class TestLiger(OnCuda):
    named = "liger"
    accelerators = ("liger", "fused-lora", "varlen")
    package = "liger-kernel"

    @pytest.fixture(
        autouse=True, params=("falcon_h1", "glm4", "llama", "mistral", "mixtral", "qwen2", "qwen3", "qwen3_moe")
    )
    def _model(self, request: pytest.FixtureRequest, tmp_path: Path) -> None:
        self.models = (str(small_model(request.param, tmp_path)),)


class TestCompile(OnCuda):
    named = "compile"
    accelerators = ("compile", "supervised-logits", "varlen")

    @pytest.fixture(autouse=True, params=("mistral", "falcon-7b", "glm4"))
    def _model(self, request: pytest.FixtureRequest, tmp_path: Path) -> None:
        self.models = (str(small_model(request.param, tmp_path)),)


class TestCompileWithFlex(TestCompile):
    accelerators = ("compile", "flex")

    @pytest.fixture(autouse=True, params=("mistral",))
    def _model(self, request: pytest.FixtureRequest, tmp_path: Path) -> None:
        self.models = (str(small_model(request.param, tmp_path)),)
