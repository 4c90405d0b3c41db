"""Random models of every architecture, small enough to be made in a moment, each with a built-in tokenizer."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from graftlm_registry.models import catalogue

LLAMA_LIKE = {
    "hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 2, "num_attention_heads": 4,
    "num_key_value_heads": 2, "head_dim": 16, "max_position_embeddings": 128, "tie_word_embeddings": False,
}  # fmt: skip
FALCON = {
    "hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4, "max_position_embeddings": 128,
    "tie_word_embeddings": False,
}  # fmt: skip
EXPERTS = {
    **LLAMA_LIKE, "moe_intermediate_size": 32, "num_experts_per_tok": 2, "shared_expert_intermediate_size": 32,
    "decoder_sparse_step": 1,
}  # fmt: skip
LINEAR_ATTENTION = {
    "linear_num_value_heads": 4, "linear_num_key_heads": 2, "linear_key_head_dim": 16, "linear_value_head_dim": 16,
    "layer_types": ["linear_attention", "full_attention"],
}  # fmt: skip
ARCHITECTURES: Mapping[str, tuple[str, str, Mapping[str, Any]]] = {
    "mistral": ("tiny-mistral", "mistral", LLAMA_LIKE),
    "llama": ("tiny-mistral", "llama", LLAMA_LIKE),
    "mixtral": ("tiny-mistral", "mixtral", {**LLAMA_LIKE, "num_local_experts": 4}),
    "qwen2": ("tiny-qwen", "qwen2", LLAMA_LIKE),
    "qwen3": ("tiny-qwen", "qwen3", {**LLAMA_LIKE, "tie_word_embeddings": True}),
    "qwen2_moe": ("tiny-qwen", "qwen2_moe", {**EXPERTS, "num_experts": 4}),
    "qwen3_moe": ("tiny-qwen", "qwen3_moe", {**EXPERTS, "num_experts": 4}),
    "qwen3_next": ("tiny-qwen", "qwen3_next", {**EXPERTS, **LINEAR_ATTENTION, "num_experts": 4}),
    "glm": ("tiny-glm", "glm", LLAMA_LIKE),
    "glm4": ("tiny-glm", "glm4", LLAMA_LIKE),
    "glm4_moe": (
        "tiny-glm", "glm4_moe", {**EXPERTS, "n_routed_experts": 4, "n_shared_experts": 1, "first_k_dense_replace": 1},
    ),
    "falcon-7b": ("tiny-falcon", "falcon", {**FALCON, "multi_query": True, "parallel_attn": True}),
    "falcon-40b": ("tiny-falcon", "falcon", {**FALCON, "new_decoder_architecture": True, "num_kv_heads": 2}),
    "falcon-rw": ("tiny-falcon", "falcon", {**FALCON, "multi_query": False, "parallel_attn": False, "alibi": True}),
    "falcon_h1": (
        "tiny-falcon", "falcon_h1",
        {
            **LLAMA_LIKE, "mamba_d_ssm": 128, "mamba_n_heads": 8, "mamba_d_head": 16, "mamba_d_state": 16,
            "mamba_n_groups": 1, "mamba_chunk_size": 16,
        },
    ),
}  # fmt: skip
"""By name: the tokenizer's model, the model type, and the configuration."""


def small_model(name: str, folder: Path, *, seed: int = 0, **changes: Any) -> Path:
    """Write the model to ``folder/NAME``, as ``save_pretrained`` does."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    tokenizer, model_type, config = ARCHITECTURES[name]
    source = catalogue().entry(tokenizer)
    assert source.folder is not None
    special = {key: source.config[key] for key in source.config if key.endswith("_token_id")}
    made = AutoConfig.for_model(model_type, vocab_size=source.config["vocab_size"], **special, **config, **changes)
    torch.manual_seed(seed)
    target = folder / name
    AutoModelForCausalLM.from_config(made).save_pretrained(target)
    for file in ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja"):
        if (source.folder / file).is_file():
            shutil.copyfile(source.folder / file, target / file)
    return target


def configuration(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    return found
