"""A checkpoint that brings its own code: run only where that is said."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from conftest import alpaca_rows

from graftlm.contracts.config import RunConfig
from graftlm.contracts.plan import Plan
from graftlm.planning.resolve import resolve
from graftlm.running.answer import answer
from graftlm.running.train import carry_out
from graftlm.testing.in_process import start_in_process
from graftlm_registry.models import catalogue
from graftlm_registry.plugins import registry

CONFIGURATION = """
from transformers import PretrainedConfig

print("the code of the checkpoint runs")


class ChatGLMConfig(PretrainedConfig):
    model_type = "chatglm"
"""
MODELING = """
import torch
from torch import nn
from transformers import GenerationMixin, PreTrainedModel
from transformers.modeling_outputs import CausalLMOutputWithPast

from .configuration_chatglm import ChatGLMConfig


class Attention(nn.Module):
    def __init__(self, config):
        super().__init__()
        size, heads = config.hidden_size, config.num_attention_heads
        self.heads = heads
        self.query_key_value = nn.Linear(size, size + 2 * config.kv_channels * config.multi_query_group_num)
        self.dense = nn.Linear(size, size, bias=False)
        self.kv = config.kv_channels * config.multi_query_group_num

    def forward(self, x):
        q, k, v = self.query_key_value(x).split([x.shape[-1], self.kv, self.kv], -1)
        cut = lambda t: t.view(*t.shape[:2], -1, x.shape[-1] // self.heads).transpose(1, 2)
        out = nn.functional.scaled_dot_product_attention(cut(q), cut(k), cut(v), is_causal=True, enable_gqa=True)
        return self.dense(out.transpose(1, 2).reshape(x.shape))


class MLP(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.dense_h_to_4h = nn.Linear(config.hidden_size, 2 * config.ffn_hidden_size, bias=False)
        self.dense_4h_to_h = nn.Linear(config.ffn_hidden_size, config.hidden_size, bias=False)

    def forward(self, x):
        gate, up = self.dense_h_to_4h(x).chunk(2, -1)
        return self.dense_4h_to_h(nn.functional.silu(gate) * up)


class ChatGLMForConditionalGeneration(PreTrainedModel, GenerationMixin):
    config_class = ChatGLMConfig
    _tied_weights_keys = {}

    def __init__(self, config):
        super().__init__(config)
        self.word_embeddings = nn.Embedding(config.padded_vocab_size, config.hidden_size)
        self.attention = nn.ModuleList(Attention(config) for _ in range(config.num_layers))
        self.mlp = nn.ModuleList(MLP(config) for _ in range(config.num_layers))
        self.norms = nn.ModuleList(nn.RMSNorm(config.hidden_size) for _ in range(2 * config.num_layers + 1))
        self.output_layer = nn.Linear(config.hidden_size, config.padded_vocab_size, bias=False)
        self.post_init()

    def get_input_embeddings(self):
        return self.word_embeddings

    def get_output_embeddings(self):
        return self.output_layer

    def forward(self, input_ids=None, attention_mask=None, **rest):
        x = self.word_embeddings(input_ids)
        for i, (attention, mlp) in enumerate(zip(self.attention, self.mlp)):
            x = x + attention(self.norms[2 * i](x))
            x = x + mlp(self.norms[2 * i + 1](x))
        return CausalLMOutputWithPast(logits=self.output_layer(self.norms[-1](x)))

    def prepare_inputs_for_generation(self, input_ids, attention_mask=None, **rest):
        return {"input_ids": input_ids, "attention_mask": attention_mask}
"""


@pytest.fixture
def checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A chatglm folder with code and weights; what transformers copies of the code stays with the test."""
    import torch
    from safetensors.torch import save_file
    from transformers import dynamic_module_utils

    monkeypatch.setattr(dynamic_module_utils, "HF_MODULES_CACHE", str(tmp_path / "modules"))
    source = catalogue().entry("tiny-glm")
    assert source.folder is not None
    folder = tmp_path / "chatglm-tiny"
    folder.mkdir()
    for name in ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja"):
        if (source.folder / name).is_file():
            shutil.copyfile(source.folder / name, folder / name)
    (folder / "configuration_chatglm.py").write_text(CONFIGURATION, encoding="utf-8")
    (folder / "modeling_chatglm.py").write_text(MODELING, encoding="utf-8")
    size, vocabulary, ffn, kv = 32, source.config["vocab_size"], 48, 16
    config: dict[str, Any] = {
        "model_type": "chatglm", "architectures": ["ChatGLMForConditionalGeneration"], "hidden_size": size,
        "num_layers": 2, "num_hidden_layers": 2, "num_attention_heads": 4, "kv_channels": 8, "multi_query_group_num": 2,
        "multi_query_attention": True, "ffn_hidden_size": ffn, "padded_vocab_size": vocabulary, "seq_length": 256,
        "add_qkv_bias": True, "add_bias_linear": False,
        "auto_map": {
            "AutoConfig": "configuration_chatglm.ChatGLMConfig",
            "AutoModelForCausalLM": "modeling_chatglm.ChatGLMForConditionalGeneration",
        },
    }  # fmt: skip
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    torch.manual_seed(0)
    weights = {
        "word_embeddings.weight": torch.randn(vocabulary, size),
        "output_layer.weight": torch.randn(vocabulary, size),
    }
    for i in range(2):
        weights |= {
            f"attention.{i}.query_key_value.weight": torch.randn(size + 2 * kv, size),
            f"attention.{i}.query_key_value.bias": torch.zeros(size + 2 * kv),
            f"attention.{i}.dense.weight": torch.randn(size, size),
            f"mlp.{i}.dense_h_to_4h.weight": torch.randn(2 * ffn, size),
            f"mlp.{i}.dense_4h_to_h.weight": torch.randn(size, ffn),
        }
    weights |= {f"norms.{i}.weight": torch.ones(size) for i in range(5)}
    save_file(
        {name: tensor * (0.1 if tensor.dim() > 1 else 1) for name, tensor in weights.items()},
        folder / "model.safetensors",
    )
    return folder


def planned(checkpoint: Path, tmp_path: Path, **settings: Any) -> Plan:
    data = tmp_path / "rows.jsonl"
    data.write_text("".join(json.dumps(row) + "\n" for row in alpaca_rows(20)), encoding="utf-8")
    return resolve(
        RunConfig(data=str(data), model=str(checkpoint), max_steps=4, retention=False, name="skill", **settings),
        registry(),
    )


@pytest.mark.usefixtures("home")
def test_code_that_nobody_trusted_is_not_run(
    checkpoint: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    plan = planned(checkpoint, tmp_path)
    assert any("--trust-remote-code" in problem for problem in plan.problems)
    assert "the code of the checkpoint runs" not in capfd.readouterr().out


@pytest.mark.usefixtures("home")
def test_trusted_code_trains_and_answers(checkpoint: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    plan = planned(checkpoint, tmp_path, trust_remote_code=True)
    assert plan.problems == ()
    outcome = carry_out(plan, registry(), lambda event: None, start=start_in_process).outcome
    assert outcome.effective.adapted_layers == 8
    assert "the code of the checkpoint runs" in capfd.readouterr().out
    assert len(answer("skill", ["Name the colour."], registry(), lambda e: None, 3, start=start_in_process)) == 1


@pytest.mark.usefixtures("home")
def test_a_changed_line_of_code_is_another_plan(checkpoint: Path, tmp_path: Path) -> None:
    before = planned(checkpoint, tmp_path, trust_remote_code=True).hash
    with (checkpoint / "modeling_chatglm.py").open("a", encoding="utf-8") as file:
        file.write("\n# another line\n")
    assert planned(checkpoint, tmp_path, trust_remote_code=True).hash != before


def test_a_load_without_trust_asks_nobody(checkpoint: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """transformers asks on stdin where it is not told, and a worker has none to answer."""
    from graftlm.contracts.errors import ModelError
    from graftlm.contracts.load import LoadPlan
    from graftlm.worker.load import from_files

    monkeypatch.setattr("builtins.input", lambda *words: pytest.fail("a question was asked"))
    with pytest.raises(ModelError, match="cannot be loaded"):
        from_files(LoadPlan(name="m", dtype="fp32", attention="eager"), checkpoint)
