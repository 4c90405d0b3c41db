"""The built-in families, with a small configuration of each of their model types and layouts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from graftlm.api import ModelShape
from graftlm.testing import FamilySuite

DECODER = {
    "vocab_size": 64, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4,
    "num_key_value_heads": 2, "head_dim": 8, "max_position_embeddings": 64, "pad_token_id": 0, "initializer_range": 0.2,
}  # fmt: skip
EXPERTS = {"moe_intermediate_size": 16, "num_experts_per_tok": 2}
QWEN_EXPERTS = {**EXPERTS, "num_experts": 4, "num_hidden_layers": 4, "mlp_only_layers": [1]}
SHARED = {**QWEN_EXPERTS, "shared_expert_intermediate_size": 24}
DELTA = {
    "head_dim": 32, "num_hidden_layers": 4, "linear_num_key_heads": 2, "linear_num_value_heads": 4,
    "linear_key_head_dim": 8, "linear_value_head_dim": 8,
}  # fmt: skip
FALCON = {
    "model_type": "falcon", "vocab_size": 64, "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4,
    "bos_token_id": 1, "eos_token_id": 1, "initializer_range": 0.2,
}  # fmt: skip


def decoder(model_type: str, **more: Any) -> dict[str, Any]:
    return {"model_type": model_type, **DECODER, **more}


class Llama(FamilySuite):
    family = "llama"
    configs: ClassVar = {
        "llama": decoder("llama"),
        "llama/biased": decoder("llama", attention_bias=True, mlp_bias=True, tie_word_embeddings=True),
    }


class Mistral(FamilySuite):
    family = "mistral"
    configs: ClassVar = {
        "mistral": decoder("mistral"),
        "mistral/windows": decoder("mistral", sliding_window=4),
        "ministral": decoder("ministral"),
        "ministral3": decoder(
            "ministral3",
            rope_parameters={
                "rope_type": "default", "rope_theta": 1e4, "llama_4_scaling_beta": 0.1,
                "original_max_position_embeddings": 64,
            },
        ),
        "mixtral": decoder("mixtral", num_local_experts=4, num_experts_per_tok=2),
        "mixtral/without-head-dim": {
            k: v for k, v in decoder("mixtral", num_local_experts=4, num_experts_per_tok=2).items() if k != "head_dim"
        },
    }  # fmt: skip


class Qwen(FamilySuite):
    family = "qwen"
    configs: ClassVar = {
        "qwen2": decoder("qwen2"),
        "qwen2/windows": decoder("qwen2", use_sliding_window=True, sliding_window=4, max_window_layers=1),
        "qwen3": decoder("qwen3", tie_word_embeddings=True),
        "qwen3/biased": decoder("qwen3", attention_bias=True),
        "qwen2_moe": decoder("qwen2_moe", **SHARED),
        "qwen2_moe/without-bias": decoder("qwen2_moe", **SHARED, qkv_bias=False, decoder_sparse_step=2),
        "qwen3_moe": decoder("qwen3_moe", **QWEN_EXPERTS, attention_bias=True),
        "qwen3_moe/all-experts": decoder("qwen3_moe", **{**QWEN_EXPERTS, "mlp_only_layers": []}),
        "qwen3_next": decoder("qwen3_next", **{**SHARED, **DELTA}),
        "qwen3_5_text": decoder("qwen3_5_text", **DELTA),
        "qwen3_5_text/biased": decoder("qwen3_5_text", **DELTA, attention_bias=True, full_attention_interval=2),
        "qwen3_5": {
            "model_type": "qwen3_5",
            "text_config": {k: v for k, v in decoder("qwen3_5_text", **DELTA).items() if k != "model_type"},
            "vision_config": {"depth": 1, "hidden_size": 16, "intermediate_size": 16, "num_heads": 2},
        },
    }


class Glm(FamilySuite):
    family = "glm"
    configs: ClassVar = {
        "glm": decoder("glm"),
        "glm4": decoder("glm4", attention_bias=False),
        "glm4_moe": decoder("glm4_moe", **EXPERTS, n_routed_experts=4),
        "glm4_moe/normed": decoder("glm4_moe", **EXPERTS, n_routed_experts=4, use_qk_norm=True, n_shared_experts=2),
        "chatglm": {"model_type": "chatglm", "padded_vocab_size": 64, "hidden_size": 32},
    }


class Falcon(FamilySuite):
    family = "falcon"
    configs: ClassVar = {
        "falcon/7b": {**FALCON, "multi_query": True, "parallel_attn": True},
        "falcon/40b": {**FALCON, "new_decoder_architecture": True, "num_kv_heads": 2},
        "falcon/11b": {**FALCON, "new_decoder_architecture": True, "num_kv_heads": 2, "num_ln_in_parallel_attn": 1},
        "falcon/rw": {**FALCON, "multi_query": False, "parallel_attn": False, "alibi": True, "bias": True},
        "falcon/rw-rotary": {**FALCON, "multi_query": False, "parallel_attn": False, "tie_word_embeddings": False},
        "falcon_h1": decoder("falcon_h1", mamba_d_ssm=32, mamba_n_heads=4, mamba_d_head=8, mamba_d_state=8),
        "falcon_h1/biased": decoder(
            "falcon_h1", mamba_d_ssm=32, mamba_n_heads=4, mamba_d_head=8, mamba_d_state=8, mamba_rms_norm=True,
            mamba_conv_bias=False, mamba_proj_bias=True, projectors_bias=True, mlp_bias=True, attention_bias=True,
        ),
    }  # fmt: skip

    def heads_in_cache(self, config: Mapping[str, Any], shape: ModelShape) -> int:
        """The layout of 40B repeats its key heads for each query head before it keeps them."""
        return shape.heads if config.get("new_decoder_architecture") else shape.kv_heads
