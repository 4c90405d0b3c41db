"""Every accelerator, alone and with the others, has the gradients of plain execution on every architecture."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest
from small_models import ARCHITECTURES, small_model

from graftlm.testing import AcceleratorSuite

CORE = ("mistral", "qwen3_moe", "falcon-7b", "falcon_h1")
"""One of each kind: packed, with experts, padded with fused projections, and with a state space."""


@pytest.fixture(scope="session")
def small_models(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, str]:
    folder: Path = tmp_path_factory.mktemp("parity")
    return {name: str(small_model(name, folder)) for name in ARCHITECTURES}


class TestTogether(AcceleratorSuite):
    accelerators = ("varlen", "fused-lora", "supervised-logits")

    @pytest.fixture(autouse=True, params=CORE)
    def _model(self, request: pytest.FixtureRequest, small_models: Mapping[str, str]) -> None:
        self.models = (small_models[request.param],)


class TestOnEveryOtherArchitecture(TestTogether):
    """What takes longest is run by ``make test-all``."""

    @pytest.fixture(autouse=True, params=[name for name in ARCHITECTURES if name not in CORE])
    def _model(self, request: pytest.FixtureRequest, small_models: Mapping[str, str]) -> None:
        self.models = (small_models[request.param],)

    @pytest.mark.slow
    def test_in_bf16_they_are_as_near_to_fp32_as_plain_execution(self) -> None:
        super().test_in_bf16_they_are_as_near_to_fp32_as_plain_execution()

    @pytest.mark.slow
    def test_it_does_what_it_says(self) -> None:
        super().test_it_does_what_it_says()

    @pytest.mark.slow
    def test_a_base_s_own_weights_have_the_gradients_of_plain_execution(self) -> None:
        super().test_a_base_s_own_weights_have_the_gradients_of_plain_execution()

    @pytest.mark.slow
    def test_checkpointing_changes_no_gradient(self) -> None:
        super().test_checkpointing_changes_no_gradient()

    @pytest.mark.slow
    def test_fifty_steps_go_the_same_way(self) -> None:
        super().test_fifty_steps_go_the_same_way()

    @pytest.mark.slow
    def test_nothing_of_it_is_left_afterwards(self) -> None:
        super().test_nothing_of_it_is_left_afterwards()
