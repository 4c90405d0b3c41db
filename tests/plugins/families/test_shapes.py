"""The shapes of well-known models and of bare configurations, against transformers on torch's meta device."""

from __future__ import annotations

from typing import Any

import pytest

from graftlm.api import FamilyFacts, ModelError, ModelFamily
from graftlm.testing.family_checks import check_shape
from graftlm.testing.tiny_models import build
from graftlm_registry.models import catalogue
from graftlm_registry.plugins import registry

KNOWN: dict[str, tuple[dict[str, Any], int]] = {
    "llama-3.1-8b": (
        {
            "model_type": "llama", "vocab_size": 128256, "hidden_size": 4096, "intermediate_size": 14336,
            "num_hidden_layers": 32, "num_attention_heads": 32, "num_key_value_heads": 8,
            "max_position_embeddings": 131072, "rope_theta": 500000.0,
            "rope_scaling": {
                "rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
                "original_max_position_embeddings": 8192,
            },
        },
        8_030_261_248,
    ),
    "falcon3-7b": (
        {
            "model_type": "llama", "vocab_size": 131072, "hidden_size": 3072, "intermediate_size": 23040,
            "num_hidden_layers": 28, "num_attention_heads": 12, "num_key_value_heads": 4, "head_dim": 256,
            "max_position_embeddings": 32768, "rope_theta": 1000042,
        },
        7_455_550_464,
    ),
    "mixtral-8x7b": (
        {
            "model_type": "mixtral", "vocab_size": 32000, "hidden_size": 4096, "intermediate_size": 14336,
            "num_hidden_layers": 32, "num_attention_heads": 32, "num_key_value_heads": 8, "num_local_experts": 8,
            "num_experts_per_tok": 2, "max_position_embeddings": 32768, "rope_theta": 1e6, "sliding_window": None,
        },
        46_702_792_704,
    ),
    "qwen1.5-moe-a2.7b": (
        {
            "model_type": "qwen2_moe", "vocab_size": 151936, "hidden_size": 2048, "intermediate_size": 5632,
            "num_hidden_layers": 24, "num_attention_heads": 16, "num_key_value_heads": 16, "num_experts": 60,
            "num_experts_per_tok": 4, "moe_intermediate_size": 1408, "shared_expert_intermediate_size": 5632,
            "max_position_embeddings": 8192,
        },
        14_315_784_192,
    ),
    "qwen3-30b-a3b": (
        {
            "model_type": "qwen3_moe", "vocab_size": 151936, "hidden_size": 2048, "intermediate_size": 6144,
            "num_hidden_layers": 48, "num_attention_heads": 32, "num_key_value_heads": 4, "head_dim": 128,
            "num_experts": 128, "num_experts_per_tok": 8, "moe_intermediate_size": 768, "mlp_only_layers": [],
            "decoder_sparse_step": 1, "max_position_embeddings": 40960,
        },
        30_532_122_624,
    ),
    "qwen3-next-80b-a3b": (
        {
            "model_type": "qwen3_next", "vocab_size": 151936, "hidden_size": 2048, "intermediate_size": 5120,
            "num_hidden_layers": 48, "num_attention_heads": 16, "num_key_value_heads": 2, "head_dim": 256,
            "full_attention_interval": 4, "linear_conv_kernel_dim": 4, "linear_key_head_dim": 128,
            "linear_num_key_heads": 16, "linear_num_value_heads": 32, "linear_value_head_dim": 128,
            "num_experts": 512, "num_experts_per_tok": 10, "moe_intermediate_size": 512,
            "shared_expert_intermediate_size": 512, "max_position_embeddings": 262144, "partial_rotary_factor": 0.25,
        },
        79_674_391_296,
    ),
    "qwen3.5-9b": (
        {
            "model_type": "qwen3_5",
            "text_config": {
                "vocab_size": 248320, "hidden_size": 4096, "intermediate_size": 12288, "num_hidden_layers": 32,
                "num_attention_heads": 16, "num_key_value_heads": 4, "head_dim": 256,
                "layer_types": (["linear_attention"] * 3 + ["full_attention"]) * 8, "max_position_embeddings": 262144,
            },
        },
        8_953_803_264,
    ),
    "glm-4-32b-0414": (
        {
            "model_type": "glm4", "vocab_size": 151552, "hidden_size": 6144, "intermediate_size": 23040,
            "num_hidden_layers": 61, "num_attention_heads": 48, "num_key_value_heads": 2, "head_dim": 128,
            "attention_bias": False, "max_position_embeddings": 32768, "partial_rotary_factor": 0.5,
        },
        32_566_081_536,
    ),
    "glm-4.5-air": (
        {
            "model_type": "glm4_moe", "vocab_size": 151552, "hidden_size": 4096, "intermediate_size": 10944,
            "num_hidden_layers": 46, "num_attention_heads": 96, "num_key_value_heads": 8, "head_dim": 128,
            "attention_bias": True, "first_k_dense_replace": 1, "n_routed_experts": 128, "n_shared_experts": 1,
            "num_experts_per_tok": 8, "moe_intermediate_size": 1408, "max_position_embeddings": 131072,
        },
        106_852_245_504,
    ),
    "falcon-40b": (
        {
            "model_type": "falcon", "vocab_size": 65024, "hidden_size": 8192, "num_hidden_layers": 60,
            "num_attention_heads": 128, "num_kv_heads": 8, "new_decoder_architecture": True, "bias": False,
        },
        41_303_293_952,
    ),
    "falcon-rw-1b": (
        {
            "model_type": "falcon", "vocab_size": 50304, "hidden_size": 2048, "num_hidden_layers": 24,
            "num_attention_heads": 32, "alibi": True, "bias": True, "multi_query": False, "parallel_attn": False,
            "new_decoder_architecture": False,
        },
        1_311_625_216,
    ),
    "falcon-h1-1.5b": (
        {
            "model_type": "falcon_h1", "vocab_size": 65537, "hidden_size": 2048, "intermediate_size": 4608,
            "num_hidden_layers": 24, "num_attention_heads": 8, "num_key_value_heads": 2, "head_dim": 128,
            "mamba_d_ssm": 3072, "mamba_n_heads": 48, "mamba_d_head": 64, "mamba_d_state": 256, "mamba_rms_norm": True,
            "max_position_embeddings": 131072,
        },
        1_554_863_488,
    ),
}  # fmt: skip


def facts_of(config: dict[str, Any]) -> FamilyFacts:
    family = next(f for f in registry().all(ModelFamily) if config["model_type"] in f.model_types)
    return family.facts(config)


@pytest.mark.parametrize("name", KNOWN)
def test_well_known_models(name: str) -> None:
    config, parameters = KNOWN[name]
    shape = facts_of(config).shape
    assert shape is not None
    check_shape(shape, build(config, device="meta"), name)
    assert shape.parameters == parameters


@pytest.mark.parametrize("name", catalogue().names())
def test_the_catalogue(name: str) -> None:
    config = dict(catalogue().entry(name).config)
    shape = facts_of(config).shape
    assert shape is not None
    check_shape(shape, build(config, device="meta"), name)


@pytest.mark.parametrize(
    "model_type",
    [t for f in registry().all(ModelFamily) if f.name in ("llama", "mistral", "qwen", "glm", "falcon")
     for t in f.model_types if t != "chatglm"],
)  # fmt: skip
def test_what_a_configuration_leaves_out_is_as_transformers_has_it(model_type: str) -> None:
    config = {"model_type": model_type}
    if model_type == "ministral":
        config["head_dim"] = 128  # transformers builds none without it
    shape = facts_of(config).shape
    assert shape is not None
    check_shape(shape, build(config, device="meta"), model_type)


def test_null_is_what_transformers_makes_of_it() -> None:
    small = {"hidden_size": 64, "num_attention_heads": 4, "num_hidden_layers": 2}
    for model_type, nulls in (
        ("llama", ("num_key_value_heads", "head_dim")),
        ("mistral", ("head_dim",)),
        ("qwen2", ("num_key_value_heads",)),
        ("qwen3_moe", ("mlp_only_layers",)),
        ("falcon", ("num_kv_heads", "ffn_hidden_size")),
        ("falcon_h1", ("num_key_value_heads", "mamba_d_ssm")),
    ):
        more = {"mamba_d_head": 64, "mamba_n_heads": 2} if model_type == "falcon_h1" else {}
        config = {"model_type": model_type, **small, **dict.fromkeys(nulls), **more}
        shape = facts_of(config).shape
        assert shape is not None
        check_shape(shape, build(config, device="meta"), model_type)


def test_other_spellings() -> None:
    """``n_embed`` is Falcon's hidden size; ``num_local_experts`` and ``num_experts`` mean the same."""
    for config in (
        {"model_type": "falcon", "n_embed": 64, "num_attention_heads": 4, "num_hidden_layers": 2, "n_head": 8},
        {"model_type": "qwen3_moe", "num_local_experts": 16, "num_hidden_layers": 2},
        {"model_type": "mixtral", "num_experts": 4, "num_hidden_layers": 2},
        {"model_type": "glm4_moe", "num_local_experts": 16, "num_hidden_layers": 2},
    ):
        shape = facts_of(config).shape
        assert shape is not None
        check_shape(shape, build(config, device="meta"), config["model_type"])


CHATGLM3 = {
    "model_type": "chatglm", "num_layers": 28, "padded_vocab_size": 65024, "hidden_size": 4096,
    "ffn_hidden_size": 13696, "kv_channels": 128, "num_attention_heads": 32, "seq_length": 8192,
    "multi_query_attention": True, "multi_query_group_num": 2, "add_qkv_bias": True, "add_bias_linear": False,
}  # fmt: skip


@pytest.mark.parametrize(
    ("more", "parameters"),
    [({}, 6_243_584_000), ({"num_layers": 40, "padded_vocab_size": 151552}, 9_399_951_360)],
    ids=["chatglm3-6b", "glm-4-9b-chat"],
)
def test_chatglm_by_its_published_size(more: dict[str, Any], parameters: int) -> None:
    facts = facts_of({**CHATGLM3, **more})
    assert facts.remote_code
    assert facts.shape is not None
    assert facts.shape.parameters == parameters
    assert (facts.shape.context, facts.shape.kv_heads, facts.shape.head_dim) == (8192, 2, 128)


def test_the_first_chatglm_has_no_shape() -> None:
    assert facts_of({"model_type": "chatglm", "hidden_size": 4096, "inner_hidden_size": 16384}).shape is None


def test_what_one_token_meets() -> None:
    """Of 80B parameters of Qwen3-Next; of the 46.7B of Mixtral, with 2 of 8 experts."""
    following, mixtral = (facts_of(KNOWN[name][0]).shape for name in ("qwen3-next-80b-a3b", "mixtral-8x7b"))
    assert following is not None
    assert mixtral is not None
    assert following.active == 3_874_929_408
    assert mixtral.active == 12_879_925_248
    assert (following.intermediate, mixtral.intermediate) == (11 * 512, 2 * 14336)


def test_rope_settings_for_each_kind_of_layer() -> None:
    each = {"full_attention": {"rope_theta": 1e6}, "sliding_attention": {"rope_theta": 1e4}}
    for model_type in ("llama", "mistral", "qwen3", "glm4", "falcon_h1"):
        facts = facts_of({"model_type": model_type, "rope_parameters": each})
        assert facts.rope == ()
        assert "settings of their own" in facts.no_rope
        assert facts_of({"model_type": model_type, "rope_parameters": {"rope_theta": 1e6}}).rope


def test_ministral3_is_scaled_where_its_configuration_is_silent() -> None:
    assert "scaled already" in facts_of({"model_type": "ministral3"}).no_rope
    assert build({"model_type": "ministral3"}, device="meta").config.rope_parameters["rope_type"] == "yarn"


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"hidden_size": "large"}, "'large' for hidden_size"),
        ({"num_attention_heads": 0}, "at least 1"),
        ({"vocab_size": None}, "null for vocab_size"),
        ({"num_hidden_layers": True}, "whole number"),
    ],
)
def test_a_size_that_is_none_is_one_sentence(more: dict[str, Any], said: str) -> None:
    with pytest.raises(ModelError, match=said):
        facts_of({"model_type": "mistral", **more})
