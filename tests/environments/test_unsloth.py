"""The ``unsloth`` backend in its own environment, on a CPU, against ``peft`` on the same plan."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import pytest
from safetensors.numpy import load_file

pytestmark = [pytest.mark.environments, pytest.mark.usefixtures("environments")]
Cli = Callable[..., CompletedProcess[str]]
Train = Callable[..., dict[str, Any]]
FIRST, CURVE = 1e-4, 2e-4
"""How far losses may be from those of ``peft``, in nats a token (fp32)."""
IN_CHUNKS = ("tiny-mistral", "tiny-qwen")


def same(found: dict[str, Any], reference: dict[str, Any]) -> None:
    """Twenty steps, and the validation between them."""
    assert len(found["losses"]) == 20
    assert found["losses"][0] == pytest.approx(reference["losses"][0], abs=FIRST)
    assert found["losses"] == pytest.approx(reference["losses"], abs=CURVE)
    assert reference["validation"]
    for (step, loss), (wanted, expected) in zip(found["validation"], reference["validation"], strict=True):
        assert step == wanted
        assert loss == pytest.approx(expected, abs=CURVE)


@pytest.mark.parametrize("model", ["tiny-mistral", "tiny-qwen", "tiny-glm", "tiny-falcon"])
def test_the_losses_are_those_of_peft(train: Train, model: str) -> None:
    """With four samples a forward pass, and with one."""
    reference = train("peft", model)
    for micro_batch in ("4", "1"):
        outcome = train("unsloth", model, "--micro-batch", micro_batch)
        same(outcome, reference)
        effective = outcome["effective"]
        assert effective["backend"] == "unsloth"
        assert effective["attention"] == "sdpa"
        assert effective["versions"]["transformers"] == "5.17.0"
        assert effective["adapted_modules"] == reference["effective"]["adapted_modules"]
        assert ("in chunks" in effective["loss"]) == (model in IN_CHUNKS)


@pytest.mark.parametrize("method", ["rslora", "dora"])
def test_the_forms_of_lora(train: Train, method: str) -> None:
    same(train("unsloth", "tiny-qwen", "--method", method), train("peft", "tiny-qwen", "--method", method))


def test_options_of_lora_are_handed_on(train: Train) -> None:
    more = ("--set", "method.layers_to_transform=0,2", "--rank", "4", "--target-modules", "q_proj,down_proj")
    found, reference = train("unsloth", "tiny-mistral", *more), train("peft", "tiny-mistral", *more)
    same(found, reference)
    assert found["effective"]["adapted_modules"] == {"down_proj": 2, "q_proj": 2}
    assert found["effective"]["trainable_parameters"] == reference["effective"]["trainable_parameters"]


def test_checkpointing_is_on_where_it_is_asked_for_and_changes_no_loss(train: Train) -> None:
    for model in ("tiny-mistral", "tiny-falcon"):
        kept = train("unsloth", model, "--gradient-checkpointing")
        assert kept["effective"]["gradient_checkpointing"]
        same(kept, train("peft", model))


def test_half_precision_stays_near(train: Train) -> None:
    """bf16 rounds the loss's pieces elsewhere: the first step is the same, the others are not far."""
    found, reference = (train(backend, "tiny-mistral", "--dtype", "bf16") for backend in ("unsloth", "peft"))
    assert found["effective"]["dtype"] == "bf16"
    assert found["losses"][0] == pytest.approx(reference["losses"][0], abs=0.02)
    assert found["losses"] == pytest.approx(reference["losses"], abs=0.1)


def test_it_goes_on_from_an_adapter(train: Train) -> None:
    train("peft", "tiny-mistral", "--name", "parent")
    more = ("--from-adapter", "parent", "--learning-rate", "5e-4")
    found, reference = train("unsloth", "tiny-mistral", *more), train("peft", "tiny-mistral", *more)
    same(found, reference)


def test_the_adapter_is_plain_peft(train: Train) -> None:
    """The names and shapes of one that ``peft`` trained, and nearly its numbers."""
    folders = (Path(train(backend, "tiny-qwen")["staged"]) for backend in ("unsloth", "peft"))
    found, expected = (load_file(folder / "adapter_model.safetensors") for folder in folders)
    assert found.keys() == expected.keys()
    for name, tensor in expected.items():
        assert found[name].dtype == tensor.dtype
        assert float(abs(found[name] - tensor).max()) < 1e-2, name


@pytest.mark.parametrize(
    ("more", "says"),
    [
        (("--quantization", "nf4"), "falls back from 4 and 8 bits"),
        (("--method", "full"), "and not full"),
        (("--method", "pissa"), "pissa"),
        (("--dtype", "fp16"), "instead of fp16 in silence"),
        (("--rope", "linear:2"), "RoPE linear by 2"),
    ],
)
def test_what_it_would_get_wrong_is_refused(asked: Cli, more: tuple[str, ...], says: str) -> None:
    done = asked("unsloth", "tiny-mistral", *more)
    assert done.returncode
    assert says in done.stderr
    assert "Traceback" not in done.stderr


def test_a_cpu_s_plan_says_that_there_is_nothing_to_gain(run: Cli, data: Path) -> None:
    done = run("plan", str(data), "--model", "tiny-mistral", "--backend", "unsloth", "--device", "cpu")
    assert done.returncode == 0, done.stderr
    assert "Unsloth's kernels are for GPUs" in " ".join(done.stdout.split())
