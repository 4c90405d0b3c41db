"""The ``llamafactory`` backend, of a distribution of its own, in its environment, against ``peft`` on the same plan."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import pytest

Cli = Callable[..., CompletedProcess[str]]
Train = Callable[..., dict[str, Any]]
pytestmark = [pytest.mark.environments, pytest.mark.usefixtures("environments")]
FIRST, CURVE = 1e-4, 2e-4
"""How far losses may be from those of ``peft``, in nats a token (fp32)."""


@pytest.mark.parametrize("model", ["tiny-mistral", "tiny-qwen", "tiny-glm", "tiny-falcon"])
def test_the_losses_are_those_of_peft(train: Train, model: str) -> None:
    reference, found = train("peft", model), train("llamafactory", model)
    assert found["losses"][0] == pytest.approx(reference["losses"][0], abs=FIRST)
    assert found["losses"] == pytest.approx(reference["losses"], abs=CURVE)
    assert found["losses"][-1] < found["losses"][0] / 2
    assert [step for step, _ in found["validation"]] == [step for step, _ in reference["validation"]]
    for (_, mine), (_, theirs) in zip(found["validation"], reference["validation"], strict=True):
        assert mine == pytest.approx(theirs, abs=CURVE)


@pytest.mark.parametrize(
    "more",
    [
        ("--micro-batch", "1"),
        ("--gradient-checkpointing",),
        ("--rope", "yarn:2"),
        ("--method", "dora"),
        ("--method", "rslora"),
        ("--schedule", "constant", "--warmup", "0.2", "--weight-decay", "0.1", "--max-grad-norm", "0.3"),
        ("--train-on", "all"),
    ],
    ids=" ".join,
)
def test_what_is_asked_is_what_it_does(train: Train, more: tuple[str, ...]) -> None:
    reference, found = train("peft", "tiny-mistral", *more), train("llamafactory", "tiny-mistral", *more)
    assert found["losses"] == pytest.approx(reference["losses"], abs=CURVE)
    for what in ("adapted_modules", "trainable_parameters", "attention", "dtype", "rope", "gradient_checkpointing"):
        assert found["effective"][what] == reference["effective"][what], what


def test_it_goes_on_from_an_adapter(train: Train) -> None:
    parent = train("peft", "tiny-mistral", "--name", "parent")
    child = train("llamafactory", "tiny-mistral", "--from-adapter", "parent")
    assert child["losses"][0] < parent["losses"][0] / 2


def test_its_own_versions_trained(train: Train) -> None:
    versions = train("llamafactory", "tiny-mistral")["effective"]["versions"]
    assert versions["transformers"].startswith("5.6.")
    assert versions["peft"].startswith("0.18.")


def test_what_is_kept_is_a_plain_adapter_without_anybody_s_paths(asked: Cli, tmp_path: Path) -> None:
    out = tmp_path / "adapter"
    done = asked("llamafactory", "tiny-mistral", "--out", str(out))
    assert done.returncode == 0, done.stderr
    assert {file.suffix for file in out.iterdir()} == {".json", ".safetensors"}
    config = json.loads((out / "adapter_config.json").read_text(encoding="utf-8"))
    assert config["base_model_name_or_path"] == "tiny-mistral"


@pytest.mark.parametrize(
    ("more", "why"),
    [
        (("--method", "full"), "no full here"),
        (("--method", "pissa"), "no pissa here"),
        (("--dtype", "fp16"), "without scaling gradients"),
        (("--quantization", "nf4"), "on a GPU alone"),
        (("--set", "method.bias=all"), "no bias"),
    ],
    ids=lambda case: " ".join(case) if isinstance(case, tuple) else None,
)
def test_what_it_cannot_do_is_refused_by_the_plan(asked: Cli, more: tuple[str, ...], why: str) -> None:
    done = asked("llamafactory", "tiny-mistral", *more)
    assert done.returncode == 2
    assert why in done.stderr + done.stdout


def test_a_run_file_of_its_own_is_imported_and_trains_there(train: Train, run: Cli, data: Path, tmp_path: Path) -> None:
    (tmp_path / "dataset_info.json").write_text(
        json.dumps({"rows": {"file_name": str(data), "columns": {"prompt": "input", "response": "output"}}}),
        encoding="utf-8",
    )
    (tmp_path / "theirs.yaml").write_text(
        "model_name_or_path: tiny-qwen\ndataset: rows\ncutoff_len: 512\nmax_steps: 4\nlearning_rate: 1.0e-3\n"
        "output_dir: saves/mine\nper_device_train_batch_size: 2\ngradient_accumulation_steps: 2\n"
        "disable_gradient_checkpointing: true\n",
        encoding="utf-8",
    )
    ours = tmp_path / "ours.yaml"
    said = run("config", "import-llamafactory", str(tmp_path / "theirs.yaml"), "--out", str(ours), "--dataset-info",
               str(tmp_path / "dataset_info.json"))  # fmt: skip
    assert said.returncode == 0, said.stderr
    done = run(
        "train", "--config", str(ours), "--backend", "llamafactory", "--no-retention", "--device", "cpu", "--json"
    )
    assert done.returncode == 0, done.stderr
    outcome = json.loads(done.stdout.splitlines()[-1])["outcome"]
    assert len(outcome["losses"]) == 4
    assert outcome["adapter"].startswith("mine@")
