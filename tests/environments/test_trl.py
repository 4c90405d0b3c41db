"""The ``trl`` backend in its own environment, against ``peft`` on the same plan."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import pytest
from safetensors.numpy import load_file

pytestmark = [pytest.mark.environments, pytest.mark.usefixtures("environments")]
Cli = Callable[..., CompletedProcess[str]]
FIRST, CURVE = 1e-4, 2e-4
"""How far losses may be from those of ``peft``, in nats a token (fp32)."""


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """16 rows of unequal length: fewer than 512 tokens together."""
    path = tmp_path_factory.mktemp("trl") / "rows.jsonl"
    rows = ({"input": f"Say {'very ' * (i % 5)}{i}", "output": f"{i}{'!' * (i % 4)}"} for i in range(16))
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def asked(run: Cli, data: Path) -> Cli:
    def train(backend: str, model: str, *more: str) -> CompletedProcess[str]:
        return run(
            "train", str(data), "--model", model, "--backend", backend, "--max-steps", "20", "--batch-size", "16",
            "--micro-batch", "8", "--learning-rate", "1e-3", "--dtype", "fp32", "--device", "cpu", "--val-split", "0",
            "--test-split", "0", "--no-retention", "--seed", "3", "--json", *more,
        )  # fmt: skip

    return train


def log_of(outcome: dict[str, Any], home: Path) -> str:
    return (home / "runs" / outcome["run"] / "log.txt").read_text(encoding="utf-8")


@pytest.mark.parametrize("model", ["tiny-mistral", "tiny-qwen", "tiny-glm", "tiny-falcon"])
def test_the_losses_are_those_of_peft(train: Callable[..., dict[str, Any]], model: str) -> None:
    """With eight samples a forward pass, and with two."""
    reference = train("peft", model)["losses"]
    for micro_batch in ("8", "2"):
        outcome = train("trl", model, "--micro-batch", micro_batch)
        assert outcome["losses"][0] == pytest.approx(reference[0], abs=FIRST)
        assert outcome["losses"] == pytest.approx(reference, abs=CURVE)
        assert outcome["effective"]["backend"] == "trl"
        assert not outcome["effective"]["packing"]
        assert "trl" in outcome["effective"]["versions"]


@pytest.mark.parametrize("model", ["tiny-mistral", "tiny-qwen", "tiny-glm"])
def test_packed_samples_do_not_see_each_other(train: Callable[..., dict[str, Any]], model: str) -> None:
    """All samples fit into one row, and the plan's step takes them all: packed or not, each step is the same work, and
    its losses tell whether samples were mixed.
    """
    reference = train("peft", model)
    packed = train("trl", model, "--set", "backend.packing=true")
    assert packed["losses"] == pytest.approx(reference["losses"], abs=CURVE)
    assert packed["tokens"] == reference["tokens"]
    assert packed["effective"]["packing"]


def test_a_packed_run_says_how_its_steps_stand_to_the_plan_s(
    train: Callable[..., dict[str, Any]], environments: Path
) -> None:
    packed = train("trl", "tiny-mistral", "--set", "backend.packing=true", "--batch-size", "8", "--max-steps", "4")
    assert len(packed["losses"]) == 4
    assert "packed 16 samples into 1 rows of at most 512 tokens" in log_of(packed, environments)
    assert "2.00 times the plan's" in log_of(packed, environments)


def test_packing_is_refused_where_it_would_mix_samples(asked: Cli) -> None:
    done = asked("trl", "tiny-falcon", "--set", "backend.packing=true")
    assert done.returncode
    assert "see each other" in done.stderr
    assert "Traceback" not in done.stderr


def test_checkpointing_is_on_where_it_is_asked_for_and_changes_no_loss(train: Callable[..., dict[str, Any]]) -> None:
    reference = train("peft", "tiny-mistral")["losses"]
    for packing in ("false", "true"):
        kept = train("trl", "tiny-mistral", "--gradient-checkpointing", "--set", f"backend.packing={packing}")
        assert kept["effective"]["gradient_checkpointing"]
        assert kept["losses"] == pytest.approx(reference, abs=CURVE)


@pytest.mark.parametrize("method", ["full", "freeze"])
def test_it_trains_a_base_s_own_weights(train: Callable[..., dict[str, Any]], method: str) -> None:
    more = ("tiny-mistral", "--method", method, "--learning-rate", "1e-4")
    assert train("trl", *more)["losses"] == pytest.approx(train("peft", *more)["losses"], abs=CURVE)


def test_an_adapter_on_a_quantized_base_stays_in_full_precision(train: Callable[..., dict[str, Any]]) -> None:
    """TRL itself would round it to bf16."""
    reference = train("peft", "tiny-mistral", "--quantization", "nf4")
    outcome = train("trl", "tiny-mistral", "--quantization", "nf4")
    assert outcome["effective"]["quantized_layers"] == reference["effective"]["quantized_layers"] > 0
    assert outcome["losses"] == pytest.approx(reference["losses"], abs=CURVE)
    weights = load_file(Path(outcome["staged"]) / "adapter_model.safetensors")
    assert {str(tensor.dtype) for tensor in weights.values()} == {"float32"}
    assert any((tensor.view("uint32") & 0xFFFF).any() for tensor in weights.values())  # more digits than bf16 has


def test_what_is_adapted_at_the_head_is_refused(asked: Cli) -> None:
    done = asked("trl", "tiny-mistral", "--set", "method.trainable_token_indices=10,20")
    assert done.returncode
    assert "TRL passes by what is adapted at the output head" in done.stderr


def test_a_head_that_is_trained_whole_is_trained(train: Callable[..., dict[str, Any]]) -> None:
    more = ("tiny-mistral", "--set", "method.modules_to_save=lm_head")
    assert train("trl", *more)["losses"] == pytest.approx(train("peft", *more)["losses"], abs=CURVE)


def test_fp16_on_a_cpu_is_refused_by_the_plan(asked: Cli) -> None:
    done = asked("trl", "tiny-mistral", "--dtype", "fp16")
    assert done.returncode == 2
    assert "fp16 on a CPU" in done.stderr
