"""What becomes of the keys that have a counterpart, and what is said of the others."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from graftlm.api import UsageError
from graftlm_llamafactory.importing.convert import convert, read_run
from graftlm_llamafactory.importing.imported import Imported

Write = Callable[..., Path]


def imported(write: Write, **keys: Any) -> Imported:
    path = write(**keys)
    return convert(read_run(path), path, None, path.with_name("run.yaml"))


def settings(write: Write, **keys: Any) -> dict[str, Any]:
    return imported(write, **keys).settings


def test_what_the_file_leaves_open_is_llama_factory_s_default(run_file: Write) -> None:
    found = imported(run_file, model_name_or_path="tiny-mistral")
    assert found.settings == {
        "model": "tiny-mistral", "template": "auto", "dtype": "fp32", "accelerator": "sdpa", "max-length": 2048,
        "overlong": "truncate-right", "gradient-checkpointing": True, "method": "lora", "rank": 8, "alpha": 16,
        "dropout": 0.0, "target-modules": "all-linear", "micro-batch": 8, "batch-size": 8, "learning-rate": 5e-5,
        "epochs": 3.0, "schedule": "linear", "warmup": 0.0, "weight-decay": 0.0, "max-grad-norm": 1.0, "seed": 42,
        "val-split": 0.0, "test-split": 0.0, "train-on": "assistant",
    }  # fmt: skip
    assert set(found.taken) == {"model_name_or_path"}
    assert {"rank", "learning-rate", "seed"} <= set(found.defaults)


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        ({"lora_rank": 32}, {"rank": 32, "alpha": 64}),
        ({"lora_rank": 32, "lora_alpha": 5, "lora_dropout": 0.1}, {"rank": 32, "alpha": 5, "dropout": 0.1}),
        ({"lora_target": "q_proj, v_proj"}, {"target-modules": "q_proj,v_proj"}),
        ({"per_device_train_batch_size": 2, "gradient_accumulation_steps": 8}, {"micro-batch": 2, "batch-size": 16}),
        ({"gradient_accumulation_steps": 4}, {"micro-batch": 8, "batch-size": 32}),
        ({"learning_rate": "1e-4"}, {"learning-rate": 1e-4}),
        ({"max_steps": 50, "warmup_steps": 5}, {"max-steps": 50, "warmup": 0.1}),
        ({"max_steps": -1, "num_train_epochs": 2}, {"epochs": 2.0}),
        ({"warmup_ratio": 0.1}, {"warmup": 0.1}),
        ({"warmup_steps": 0.2}, {"warmup": 0.2}),
        ({"lr_scheduler_type": "constant_with_warmup"}, {"schedule": "constant"}),
        ({"lr_scheduler_type": "constant", "warmup_ratio": 0.1}, {"schedule": "constant", "warmup": 0.0}),
        ({"bf16": True}, {"dtype": "bf16"}),
        ({"fp16": True}, {"dtype": "fp16"}),
        ({"pure_bf16": True}, {"dtype": "bf16"}),
        ({"quantization_bit": 4}, {"quantization": "nf4", "options": {"quantization": {"double_quant": True}}}),
        ({"quantization_bit": 4, "quantization_type": "fp4"}, {"quantization": "fp4"}),
        ({"quantization_bit": 8, "quantization_method": "bitsandbytes"}, {"quantization": "int8"}),
        ({"flash_attn": "sdpa"}, {"accelerator": "sdpa"}),
        ({"flash_attn": "disabled"}, {"accelerator": "eager"}),
        ({"rope_scaling": "yarn", "cutoff_len": 4096}, {"rope": "yarn", "context-length": 4096, "max-length": 4096}),
        ({"disable_gradient_checkpointing": True}, {"gradient-checkpointing": False}),
        ({"val_size": 0.1}, {"val-split": 0.1}),
        ({"eval_strategy": "steps", "eval_steps": 100}, {"eval-every": 100}),
        ({"output_dir": "saves/Llama-3 8B/lora/sft"}, {"name": "llama-3-8b"}),
        ({"mask_history": True}, {"train-on": "last"}),
        ({"train_on_prompt": True}, {"train-on": "all"}),
        ({"trust_remote_code": True, "model_revision": "v2"}, {"trust-remote-code": True, "revision": "v2"}),
        ({"use_dora": True, "use_rslora": False}, {"options": {"method": {"use_rslora": False, "use_dora": True}}}),
        ({"additional_target": "embed_tokens,lm_head"},
         {"options": {"method": {"modules_to_save": ["embed_tokens", "lm_head"]}}}),
        ({"pissa_init": True, "pissa_iter": -1},
         {"options": {"method": {"init_lora_weights": "pissa", "pissa_iterations": 0}}}),
        ({"finetuning_type": "full"}, {"method": "full"}),
        ({"finetuning_type": "freeze", "freeze_trainable_layers": 3},
         {"method": "freeze", "options": {"method": {"layers": 3}}}),
        ({"stage": "pt"}, {"format": "text", "train-on": "all"}),
    ],
    ids=lambda case: "-".join(case) if isinstance(case, dict) else None,
)  # fmt: skip
def test_a_key_becomes_a_setting(run_file: Write, keys: dict[str, Any], expected: dict[str, Any]) -> None:
    found = settings(run_file, model_name_or_path="tiny-mistral", **keys)
    assert {key: found.get(key) for key in expected} == expected


@pytest.mark.parametrize(
    ("keys", "left", "why"),
    [
        ({"stage": "dpo"}, "stage", "has no dpo"),
        ({"finetuning_type": "oft"}, "finetuning_type", "like oft"),
        ({"finetuning_type": "full", "lora_rank": 8}, "lora_rank", "for finetuning_type lora"),
        ({"quantization_bit": 3, "quantization_method": "hqq"}, "quantization_bit", "no 3 bits by hqq"),
        ({"flash_attn": "fa2"}, "flash_attn", "plugins list"),
        ({"rope_scaling": "llama3"}, "rope_scaling", "no llama3"),
        ({"lr_scheduler_type": "polynomial"}, "lr_scheduler_type", "no polynomial"),
        ({"warmup_steps": 10}, "warmup_steps", "a share of the steps"),
        ({"max_steps": 5, "num_train_epochs": 3}, "num_train_epochs", "wins"),
        ({"val_size": 100}, "val_size", "a share"),
        ({"max_grad_norm": 0}, "max_grad_norm", "clips"),
        ({"lora_rank": "many"}, "lora_rank", "'many' is not a whole number"),
        ({"learning_rate": True}, "learning_rate", "is not a number"),
        ({"bf16": "yes"}, "bf16", "neither true nor false"),
        ({"gradient_checkpointing": False}, "gradient_checkpointing", "disable_gradient_checkpointing"),
        ({"deepspeed": "ds.json"}, "deepspeed", "one device"),
        ({"optim": "adamw_8bit"}, "optim", "as optimizer"),
        ({"packing": True}, "packing", "pack"),
        ({"enable_thinking": True, "template": "llama3"}, "enable_thinking", "no thoughts"),
        ({"resume_from_checkpoint": None}, "resume_from_checkpoint", "null"),
        ({"no_such_key": 1}, "no_such_key", "does not know it"),
        ({"save_steps": 500}, "save_steps", "by name and version"),
    ],
    ids=lambda case: "-".join(case) if isinstance(case, dict) else None,
)
def test_what_has_no_counterpart_says_why(run_file: Write, keys: dict[str, Any], left: str, why: str) -> None:
    found = imported(run_file, model_name_or_path="tiny-mistral", **keys)
    assert why in found.left[left]
    assert left not in found.taken


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [("qwen", "qwen2.5"), ("qwen3", "qwen3"), ("qwen3_nothink", "qwen3-2507"), ("mistral", "mistral-v3"),
     ("mistral_small", "mistral-v7-tekken"), ("glm4", "glm4"), ("llama3", "llama3"), ("falcon_h1", "falcon-h1"),
     ("chatml", "chatml"), ("alpaca", "alpaca"), ("vicuna", "vicuna")],
)  # fmt: skip
def test_templates_that_graftlm_has_too(run_file: Write, theirs: str, ours: str) -> None:
    found = imported(run_file, model_name_or_path="m", template=theirs)
    assert (found.settings["template"], found.taken["template"]) == (ours, "template")


@pytest.mark.parametrize("theirs", ["falcon", "glm4_moe", "gemma3"])
def test_other_templates_are_the_model_s_own_and_that_is_said(run_file: Write, theirs: str) -> None:
    found = imported(run_file, model_name_or_path="m", template=theirs)
    assert found.settings["template"] == "auto"
    assert "graftlm" in found.left["template"] or "it takes" in found.left["template"]


def test_a_file_that_is_none(tmp_path: Path) -> None:
    path = tmp_path / "run.yaml"
    with pytest.raises(UsageError, match="cannot be read"):
        read_run(path)
    for content, why in (("- 1\n", "must hold keys"), ("a: [", "not valid YAML"), ("", "must hold keys")):
        path.write_text(content, encoding="utf-8")
        with pytest.raises(UsageError, match=why):
            read_run(path)
