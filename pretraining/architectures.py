"""Shapes of the built-in models: transformers' own architectures, small."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from transformers import (
    FalconConfig,
    Glm4Config,
    MistralConfig,
    PretrainedConfig,
    Qwen3Config,
)

POSITIONS = 1024


@dataclass(frozen=True)
class Architecture:
    family: str
    template: str
    config: type[PretrainedConfig]
    shape: dict[str, Any]
    end: tuple[str, ...]


def _llama_like(hidden: int, layers: int, mlp: int, heads: int = 4) -> dict[str, Any]:
    return {
        "hidden_size": hidden, "intermediate_size": mlp, "num_hidden_layers": layers, "num_attention_heads": heads,
        "num_key_value_heads": heads // 2, "head_dim": hidden // heads, "max_position_embeddings": POSITIONS,
    }  # fmt: skip


QWEN = ("<|im_end|>", "<|endoftext|>")
ARCHITECTURES: dict[str, Architecture] = {
    "tiny-mistral": Architecture(
        "mistral", "mistral-v3", MistralConfig,
        {**_llama_like(128, 4, 320), "sliding_window": None, "tie_word_embeddings": True}, ("</s>",),
    ),
    "tiny-qwen": Architecture(
        "qwen", "qwen3", Qwen3Config, {**_llama_like(128, 4, 320), "tie_word_embeddings": True}, QWEN,
    ),
    "tiny-glm": Architecture(
        "glm", "glm4-newline", Glm4Config, {**_llama_like(128, 4, 320), "tie_word_embeddings": False, "rope_parameters": {"rope_type": "default", "rope_theta": 10000.0, "partial_rotary_factor": 0.5}},
        ("<|endoftext|>", "<|user|>", "<|observation|>"),
    ),
    "tiny-falcon": Architecture(
        "falcon", "falcon-instruct", FalconConfig,
        {"hidden_size": 128, "num_hidden_layers": 4, "num_attention_heads": 4, "ffn_hidden_size": 512, "multi_query": True,
         "parallel_attn": True, "bias": False, "alibi": False, "new_decoder_architecture": False,
         "max_position_embeddings": POSITIONS, "hidden_dropout": 0.0, "attention_dropout": 0.0},
        ("<|endoftext|>",),
    ),
    "small-qwen": Architecture(
        "qwen", "qwen3", Qwen3Config, {**_llama_like(256, 5, 704), "tie_word_embeddings": True}, QWEN,
    ),
}  # fmt: skip
