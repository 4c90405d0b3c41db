"""The plan as LLaMA-Factory's YAML, and the base as it is to find it."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

import graftlm
from graftlm_llamafactory.arguments import arguments
from graftlm_llamafactory.backend import LlamaFactoryTrainer
from graftlm_llamafactory.base import lay_out
from graftlm_llamafactory.situations import check

if TYPE_CHECKING:
    from graftlm.api import Plan


@pytest.fixture
def data(tmp_path: Path) -> Path:
    path = tmp_path / "rows.jsonl"
    rows = ({"instruction": f"Say {i}", "output": str(i)} for i in range(30))
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def planned(data: Path, **settings: Any) -> Plan:
    return graftlm.plan(**{"data": data, "model": "tiny-mistral", "device": "cpu", "retention": False, **settings})


def test_the_file_says_what_the_plan_says(data: Path) -> None:
    plan = planned(
        data, rank=4, alpha=12, dropout=0.1, target_modules="q_proj,v_proj", batch_size=8, micro_batch=2, max_steps=9,
        learning_rate=1e-3, schedule="constant", warmup=0.4, weight_decay=0.2, max_grad_norm=0.7, seed=5, dtype="bf16",
        max_length=99, options={"method": {"use_rslora": True}},
    )  # fmt: skip
    said = arguments(plan, Path("/m"), Path("/r"), Path("/o"))
    wanted = {
        "model_name_or_path": "/m", "tokenized_path": "/r", "output_dir": "/o", "stage": "sft", "do_train": True,
        "finetuning_type": "lora", "lora_rank": 4, "lora_alpha": 12, "lora_dropout": 0.1,
        "use_rslora": True, "use_dora": False, "per_device_train_batch_size": 2, "gradient_accumulation_steps": 4,
        "max_steps": 9, "learning_rate": 1e-3, "lr_scheduler_type": "constant_with_warmup", "warmup_steps": 4,
        "weight_decay": 0.2, "max_grad_norm": 0.7, "seed": 5, "bf16": True, "fp16": False, "cutoff_len": 99,
        "flash_attn": "sdpa", "disable_gradient_checkpointing": True, "disable_shuffling": True,
        "save_strategy": "no", "report_to": "none", "use_cpu": True,
    }  # fmt: skip
    assert {key: said[key] for key in wanted} == wanted
    assert set(said["lora_target"].split(",")) == {"q_proj", "v_proj"}
    assert "quantization_bit" not in said


def test_the_method_s_name_says_its_options(data: Path) -> None:
    said = arguments(planned(data, method="dora"), Path("/m"), Path("/r"), Path("/o"))
    assert (said["use_dora"], said["use_rslora"]) == (True, False)


@pytest.mark.parametrize(("dtype", "name"), [("fp32", "float32"), ("bf16", "bfloat16")])
def test_the_base_is_linked_and_says_its_precision(data: Path, tmp_path: Path, dtype: str, name: str) -> None:
    plan = planned(data, dtype=dtype)
    source = Path(plan.model.folder)
    folder = lay_out(source, plan.load, tmp_path / "model")
    assert {file.name for file in folder.iterdir()} == {file.name for file in source.iterdir()}
    weights = next(folder.glob("*.safetensors"))
    assert weights.is_symlink()
    before, after = (json.loads((f / "config.json").read_text(encoding="utf-8")) for f in (source, folder))
    assert after.pop("dtype") == name
    for config in (before, after):
        for key in ("dtype", "torch_dtype"):
            config.pop(key, None)
    assert before == after


@pytest.mark.parametrize("kind", ["linear", "dynamic", "yarn"])
@pytest.mark.parametrize("model", ["tiny-mistral", "tiny-glm"])
def test_rope_is_what_transformers_reads_there(data: Path, tmp_path: Path, kind: str, model: str) -> None:
    from transformers import AutoConfig

    plan = planned(data, model=model, rope=f"{kind}:2")
    source = Path(plan.model.folder)
    before = AutoConfig.from_pretrained(source)
    after = AutoConfig.from_pretrained(lay_out(source, plan.load, tmp_path / "model"))
    changed = {"rope_type": kind, "factor": 2.0}
    if kind == "yarn":
        changed["original_max_position_embeddings"] = before.max_position_embeddings
    assert after.rope_parameters == {**before.rope_parameters, **changed}
    assert after.max_position_embeddings == before.max_position_embeddings * (1 if kind == "dynamic" else 2)


@pytest.mark.parametrize(
    ("device", "seen", "left"),
    [("cpu", None, ""), ("cpu", "0,1", ""), ("cuda", None, "0"), ("cuda", "3,1", "3"), ("cuda", "", "")],
)
def test_it_sees_the_one_device_of_the_plan(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, device: str, seen: str | None, left: str
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", seen or "")
    if seen is None:
        monkeypatch.delenv("CUDA_VISIBLE_DEVICES")
    monkeypatch.setitem(sys.modules, "graftlm_llamafactory.entry", ModuleType("entry"))  # LLaMA-Factory is not here
    LlamaFactoryTrainer().prepare(SimpleNamespace(device=device), tmp_path)  # type: ignore[arg-type]
    assert os.environ["CUDA_VISIBLE_DEVICES"] == left


def test_a_schedule_that_it_has_not_is_refused(data: Path) -> None:
    assert check(planned(data, schedule="linear")) == ()
    (reason,) = check(planned(data, schedule="wsd"))
    assert reason == "has no --schedule wsd here: choose one of cosine, linear, constant, or choose --backend peft"
