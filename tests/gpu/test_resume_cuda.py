"""Going on with a run on a GPU: with deterministic kernels, to the last bit."""

from __future__ import annotations

import signal
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import psutil
import pytest

from graftlm.contracts.config import RunConfig
from graftlm.contracts.errors import GraftlmError
from graftlm.contracts.outcome import Outcome
from graftlm.environments.probing import probe
from graftlm.planning.resolve import resolve
from graftlm.running.supervise import supervise
from graftlm.running.train import prepare
from graftlm_registry.plugins import registry
from graftlm_registry.runs import Run

pytestmark = pytest.mark.gpu
STEPS = 24


@pytest.fixture(autouse=True)
def _cuda(home: Path) -> None:
    if "cuda" not in probe().device_types:
        pytest.skip("no CUDA device here")


def prepared(data: Path, name: str, **settings: Any) -> Run:
    given: dict[str, Any] = {
        "model": "tiny-qwen", "max_steps": STEPS, "retention": False, "deterministic": True, "name": name,
        "dropout": 0.1, "checkpoint_every": 4, **settings,
    }  # fmt: skip
    return prepare(resolve(RunConfig(data=str(data), **given), registry()), registry())


def killing(step: int, number: int) -> Callable[[Mapping[str, Any]], None]:
    """Send the worker a signal when it has told of this step."""

    def hear(event: Mapping[str, Any]) -> None:
        if event["event"] == "metric" and event["step"] == step:
            for process in psutil.Process().children():
                if "graftlm.worker" in " ".join(process.cmdline()):
                    process.send_signal(number)

    return hear


@pytest.mark.parametrize("dtype", ["fp32", "bf16", "fp16"])
@pytest.mark.parametrize("quantization", ["none", "nf4"])
def test_a_run_that_is_killed_ends_as_if_it_never_was(alpaca: Path, dtype: str, quantization: str) -> None:
    if quantization == "nf4":
        pytest.importorskip("bitsandbytes")
    settings = {"dtype": dtype, "quantization": quantization}

    def whole() -> Outcome:
        return supervise(prepared(alpaca, "whole", **settings), registry(), lambda event: None).outcome

    expected, cut = whole(), prepared(alpaca, "cut", **settings)
    for step, number in ((5, signal.SIGKILL), (11, signal.SIGTERM), (STEPS, signal.SIGKILL)):
        with pytest.raises(GraftlmError, match="graftlm runs resume"):
            supervise(cut, registry(), killing(step, number))
    found = supervise(cut, registry(), lambda event: None).outcome
    assert found.effective.device == "cuda"
    assert found.resumed
    assert found.losses == expected.losses
    assert found.digest == expected.digest
