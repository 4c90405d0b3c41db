"""No key of the input is lost, whatever it holds."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from graftlm_llamafactory.importing.convert import convert, write_run
from graftlm_llamafactory.importing.without import REASONS

KNOWN = """
    model_name_or_path model_revision trust_remote_code template enable_thinking bf16 fp16 pure_bf16 quantization_bit
    quantization_method quantization_type double_quantization flash_attn cutoff_len rope_scaling gradient_checkpointing
    disable_gradient_checkpointing finetuning_type lora_rank lora_alpha lora_dropout lora_target use_rslora use_dora
    pissa_init pissa_iter pissa_convert additional_target freeze_trainable_layers freeze_trainable_modules
    freeze_extra_modules per_device_train_batch_size gradient_accumulation_steps learning_rate max_steps
    num_train_epochs lr_scheduler_type warmup_ratio warmup_steps weight_decay max_grad_norm seed val_size eval_steps
    eval_strategy evaluation_strategy output_dir dataset dataset_dir eval_dataset mix_strategy interleave_probs
    mask_history train_on_prompt stage do_train
"""
KEYS = st.one_of(
    st.sampled_from(KNOWN.split()),
    st.sampled_from([key.replace("*", "x") for keys in REASONS.values() for key in keys.split()]),
    st.text(min_size=1, max_size=12),
)
WORDS = st.sampled_from(
    ["lora", "full", "freeze", "oft", "dpo", "pt", "sft", "auto", "fa2", "linear", "cosine", "all", "steps", "qwen3",
     "llama3", "1e-4", "a,b", "", "nf4", "bnb", "hqq", "x" * 70, "."]
)  # fmt: skip
VALUES = st.one_of(
    WORDS,
    st.none(),
    st.booleans(),
    st.integers(-10, 10**12),
    st.floats(),
    st.text(max_size=8),
    st.lists(WORDS, max_size=3),
    st.dictionaries(st.text(max_size=3), st.integers(), max_size=2),
)


@given(st.dictionaries(KEYS, VALUES, max_size=20))
@settings(max_examples=400, deadline=None)
def test_every_key_is_in_exactly_one_list(content: dict[str, Any]) -> None:
    result = convert(content, Path("/nowhere/run.yaml"), None, Path("/nowhere/out.yaml"))
    assert not set(result.taken) & set(result.left)
    assert set(result.taken) | set(result.left) == set(content)
    assert all(result.taken.values())
    assert all(result.left.values())
    assert yaml.safe_load(write_run(result, Path("run.yaml"))) == result.settings


ENTRY_KEYS = st.sampled_from(
    ["file_name", "hf_hub_url", "ms_hub_url", "script_url", "formatting", "ranking", "subset", "split", "folder",
     "num_samples", "columns", "tags", "something"]
)  # fmt: skip
PARTS = st.dictionaries(
    st.sampled_from(["prompt", "query", "response", "history", "messages", "system", "tools", "images", "chosen",
                     "role_tag", "content_tag", "user_tag", "assistant_tag", "function_tag", "other"]),
    st.one_of(st.sampled_from(["from", "value", "role", "content", "human", "a,b", "user"]), st.none(), st.integers()),
    max_size=6,
)  # fmt: skip
ENTRIES = st.dictionaries(
    ENTRY_KEYS, st.one_of(st.sampled_from(["alpaca", "sharegpt", "openai", "x"]), PARTS, st.none(), st.booleans())
)


@given(st.one_of(ENTRIES, st.none(), st.integers()))
@settings(max_examples=200, deadline=None)
def test_every_key_of_a_data_set_is_in_exactly_one_list(entry: Any) -> None:
    with tempfile.TemporaryDirectory() as folder:
        info = Path(folder) / "dataset_info.json"
        info.write_text(json.dumps({"one": entry}), encoding="utf-8")
        result = convert({"dataset": "one"}, Path(folder) / "run.yaml", info, Path(folder) / "out.yaml")
    assert not set(result.taken) & set(result.left)
    keys = {f"dataset_info.json: one: {key}" for key in (entry if isinstance(entry, dict) else ())}
    assert set(result.taken) | set(result.left) == {"dataset", *keys}
    assert ("data" in result.settings) == ("dataset" in result.taken)
