"""The file that is written is one that graftlm's own planning takes."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from graftlm.api import UsageError
from graftlm_llamafactory.importing.command import import_llamafactory

Write = Callable[..., Path]


def written(run: Path, *options: str) -> tuple[Path, str]:
    out = run.with_name("run.yaml")
    result = CliRunner().invoke(import_llamafactory, [str(run), "--out", str(out), *options], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return out, result.output


def planned(config: Path) -> dict[str, Any]:
    command = [sys.executable, "-P", "-m", "graftlm", "plan", "--config", str(config), "--json"]
    found = subprocess.run(command, capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stderr
    return json.loads(found.stdout)  # type: ignore[no-any-return]


@pytest.mark.parametrize(
    ("model", "data", "more"),
    [
        ("tiny-mistral", "named", {"template": "mistral", "lora_target": "all", "bf16": True}),
        ("tiny-qwen", "chat", {"lora_target": "q_proj,v_proj", "max_steps": 7, "warmup_steps": 2}),
        ("tiny-glm", "messages", {"rope_scaling": "linear", "cutoff_len": 2048}),
        ("tiny-falcon", "plain", {"finetuning_type": "freeze", "freeze_trainable_layers": 1}),
        ("tiny-mistral", "plain", {"finetuning_type": "full", "lr_scheduler_type": "constant"}),
    ],
)
def test_graftlm_plans_it(run_file: Write, model: str, data: str, more: dict[str, Any]) -> None:
    keys = {
        "model_name_or_path": model, "stage": "sft", "do_train": True, "dataset": data, "cutoff_len": 256,
        "per_device_train_batch_size": 2, "gradient_accumulation_steps": 4, "learning_rate": 1e-4, "val_size": 0.1,
        "output_dir": "saves/mine/lora/sft", "logging_steps": 10, **more,
    }  # fmt: skip
    out, said = written(run_file(**keys))
    plan = planned(out)
    training = plan["training"]
    assert (training["batch_size"], training["micro_batch"], training["learning_rate"]) == (8, 2, 1e-4)
    assert plan["name"] == "mine"
    assert sum(split["rows"] for split in plan["data"]["splits"]) == 40
    assert all(f"  {key} " in said for key in keys)


def test_a_file_that_is_there_is_kept(run_file: Write) -> None:
    run = run_file(model_name_or_path="tiny-mistral")
    out, _ = written(run)
    with pytest.raises(UsageError, match="--force"):
        written(run)
    before = out.read_text(encoding="utf-8")
    assert written(run, "--force")[0].read_text(encoding="utf-8") == before
