"""The built-in families, judged by the suite that third parties run."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from graftlm.testing import FamilySuite
from graftlm.testing.tiny_models import build, logits
from graftlm_plugins.conformance import families


class TestLlama(families.Llama):
    pass


class TestMistral(families.Mistral):
    pass


class TestQwen(families.Qwen):
    pass


class TestGlm(families.Glm):
    pass


class TestFalcon(families.Falcon):
    pass


@pytest.mark.parametrize("suite", [TestLlama, TestMistral, TestQwen, TestGlm, TestFalcon])
def test_attention_implementations_are_all_that_transformers_has(suite: type[FamilySuite]) -> None:
    for name, config, facts in suite().cases():
        model = build(config)
        flash = model._supports_flash_attn and not config.get("alibi")
        supported = {
            "eager": not config.get("alibi"),  # which adds it twice
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
    hidden = torch.zeros(1, 4, families.FALCON["hidden_size"])
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
