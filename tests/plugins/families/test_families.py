"""The built-in families, judged by the suite that third parties run."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch

from graftlm.api import ModelShape
from graftlm.testing import FamilySuite
from graftlm.testing.tiny_models import build, logits

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


class TestLlama(FamilySuite):
    family = "llama"
    configs = {
        "llama": decoder("llama"),
        "llama/biased": decoder("llama", attention_bias=True, mlp_bias=True, tie_word_embeddings=True),
    }


class TestMistral(FamilySuite):
    family = "mistral"
    configs = {
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


class TestQwen(FamilySuite):
    family = "qwen"
    configs = {
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


class TestGlm(FamilySuite):
    family = "glm"
    configs = {
        "glm": decoder("glm"),
        "glm4": decoder("glm4", attention_bias=False),
        "glm4_moe": decoder("glm4_moe", **EXPERTS, n_routed_experts=4),
        "glm4_moe/normed": decoder("glm4_moe", **EXPERTS, n_routed_experts=4, use_qk_norm=True, n_shared_experts=2),
        "chatglm": {"model_type": "chatglm", "padded_vocab_size": 64, "hidden_size": 32},
    }


class TestFalcon(FamilySuite):
    family = "falcon"
    configs = {
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


@pytest.mark.parametrize("suite", [TestLlama, TestMistral, TestQwen, TestGlm, TestFalcon])
def test_attention_implementations_are_all_that_transformers_has(suite: type[FamilySuite]) -> None:
    for name, config, facts in suite().cases():
        model = build(config)
        flash = model._supports_flash_attn and not config.get("alibi")
        supported = {
            "eager": True,
            "sdpa": model._supports_sdpa,
            "flash_attention_2": flash,
            "flash_attention_3": flash and not model._compatible_flash_implementations,
            "flex_attention": model._supports_flex_attn,
        }
        assert set(facts.attention_implementations) == {kind for kind, has in supported.items() if has}, name


@pytest.mark.parametrize("suite", [TestLlama, TestMistral, TestQwen, TestGlm, TestFalcon])
def test_modules_are_known_wherever_transformers_has_the_code(suite: type[FamilySuite]) -> None:
    assert all(facts.modules for _, _, facts in suite().cases())


def test_alibi_has_no_flash_attention() -> None:
    from transformers.models.falcon.modeling_falcon import FalconFlashAttention2

    layer = FalconFlashAttention2(build(TestFalcon.configs["falcon/rw"]).config, layer_idx=0)
    hidden = torch.zeros(1, 4, FALCON["hidden_size"])
    with pytest.raises(ValueError, match="alibi"):
        layer(hidden, alibi=torch.zeros(1), attention_mask=None, position_embeddings=None)


def test_qwen3_5_loads_as_text_from_a_checkpoint_that_sees(tmp_path: Path) -> None:
    from transformers import AutoConfig, AutoModelForCausalLM, Qwen3_5ForConditionalGeneration

    known = {k: v for k, v in TestQwen.configs["qwen3_5"].items() if k != "model_type"}
    known["vision_config"] = {**known["vision_config"], "out_hidden_size": 32}
    torch.manual_seed(0)
    whole = Qwen3_5ForConditionalGeneration(AutoConfig.for_model("qwen3_5", **known)).eval()
    whole.save_pretrained(tmp_path)
    text, report = AutoModelForCausalLM.from_pretrained(tmp_path, output_loading_info=True)
    ids = torch.arange(3, 23)[None]
    with torch.inference_mode():
        assert torch.equal(logits(text.eval(), ids), logits(whole, ids))
    assert not report["missing_keys"]
    assert not report["unexpected_keys"]
