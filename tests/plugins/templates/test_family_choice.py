"""Which template a family takes for a model, by its name, its config and its own template."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import graftlm_registry
from graftlm.api import ModelDescription, ModelFamily, read_config
from graftlm_registry.plugins import registry

BUILTIN = Path(graftlm_registry.__file__).parent / "builtin"


def chosen(family: str, name: str, folder: Path, **config: Any) -> str:
    description = ModelDescription(name=name, source="test", folder=folder, config=config)
    return registry().get(ModelFamily, family).template(description)


@pytest.mark.parametrize(
    ("family", "name", "config", "template"),
    [
        ("mistral", "mistralai/Mistral-7B-Instruct-v0.1", {"vocab_size": 32000}, "mistral-v1"),
        ("mistral", "mistralai/Mistral-7B-Instruct-v0.2", {"vocab_size": 32000}, "mistral-v1"),
        ("mistral", "mistralai/Mistral-7B-Instruct-v0.3", {"vocab_size": 32768}, "mistral-v3"),
        ("mistral", "mistralai/Mistral-Nemo-Instruct-2407", {"vocab_size": 131072}, "mistral-v3-tekken"),
        ("mistral", "mistralai/Mistral-Large-Instruct-2411", {"vocab_size": 32768}, "mistral-v7"),
        ("mistral", "mistralai/Mistral-Small-24B-Instruct-2501", {"vocab_size": 131072}, "mistral-v7-tekken"),
        ("mistral", "mistralai/Mixtral-8x7B-Instruct-v0.1", {"vocab_size": 32000}, "mistral-v1"),
        ("mistral", "mistralai/Mixtral-8x22B-Instruct-v0.1", {"vocab_size": 32768}, "mistral-v3"),
        ("mistral", "mistralai/Ministral-8B-Instruct-2410", {"vocab_size": 131072}, "mistral-v3-tekken"),
        ("mistral", "mistralai/Ministral-3-8B-Instruct-2512", {"vocab_size": 131072}, "mistral-v7-tekken"),
        ("mistral", "mine", {"model_type": "ministral3"}, "mistral-v7-tekken"),
        ("mistral", "mine", {}, "mistral-v3"),
        ("qwen", "Qwen/Qwen1.5-7B-Chat", {"model_type": "qwen2"}, "qwen"),
        ("qwen", "Qwen/Qwen2-0.5B-Instruct", {"model_type": "qwen2"}, "qwen"),
        ("qwen", "Qwen/Qwen2.5-7B-Instruct", {"model_type": "qwen2"}, "qwen2.5"),
        ("qwen", "mine", {"model_type": "qwen2"}, "qwen2.5"),
        ("qwen", "Qwen/Qwen3-8B", {"model_type": "qwen3"}, "qwen3"),
        ("qwen", "Qwen/Qwen3-4B-Instruct-2507", {"model_type": "qwen3"}, "qwen3-2507"),
        ("qwen", "Qwen/Qwen1.5-MoE-A2.7B-Chat", {"model_type": "qwen2_moe"}, "qwen"),
        ("qwen", "Qwen/Qwen3-30B-A3B", {"model_type": "qwen3_moe"}, "qwen3"),
        ("qwen", "Qwen/Qwen3-30B-A3B-Thinking-2507", {"model_type": "qwen3_moe"}, "qwen3"),
        ("qwen", "Qwen/Qwen3-Next-80B-A3B-Instruct", {"model_type": "qwen3_next"}, "qwen3-2507"),
        ("qwen", "Qwen/Qwen3-Next-80B-A3B-Thinking", {"model_type": "qwen3_next"}, "qwen3"),
        ("qwen", "Qwen/Qwen3-Coder-30B-A3B-Instruct", {"model_type": "qwen3_moe"}, "qwen3-2507"),
        ("qwen", "Qwen/Qwen3.5-9B", {"model_type": "qwen3_5"}, "qwen3"),
        ("glm", "THUDM/chatglm3-6b", {"model_type": "chatglm", "padded_vocab_size": 65024}, "chatglm3"),
        ("glm", "THUDM/glm-4-9b-chat", {"model_type": "chatglm", "padded_vocab_size": 151552}, "glm4"),
        ("glm", "THUDM/glm-4-9b-chat-hf", {"model_type": "glm"}, "glm4"),
        ("glm", "zai-org/GLM-4.5-Air", {"model_type": "glm4_moe"}, "glm4.5"),
        ("falcon", "tiiuae/falcon-7b-instruct", {"model_type": "falcon"}, "falcon-instruct"),
        ("falcon", "tiiuae/Falcon3-7B-Instruct", {"model_type": "llama"}, "falcon3"),
        ("falcon", "tiiuae/Falcon-H1-7B-Instruct", {"model_type": "falcon_h1"}, "falcon-h1"),
        ("llama", "tiiuae/Falcon3-7B-Instruct", {"vocab_size": 131072}, "falcon3"),
        ("llama", "meta-llama/Llama-3.1-8B-Instruct", {"vocab_size": 128256}, "llama3"),
        ("llama", "mine", {"vocab_size": 128256}, "llama3"),
        ("llama", "lmsys/vicuna-7b-v1.5", {"vocab_size": 32000}, "vicuna"),
        ("llama", "huggyllama/llama-7b", {"vocab_size": 32000}, "alpaca"),
    ],
)
def test_by_name_and_config(family: str, name: str, config: dict[str, Any], template: str, tmp_path: Path) -> None:
    assert chosen(family, name, tmp_path, **config) == template


@pytest.mark.parametrize(
    ("model", "family", "template"),
    [
        ("tiny-mistral", "mistral", "mistral-v3"),
        ("tiny-qwen", "qwen", "qwen3"),
        ("small-qwen", "qwen", "qwen3"),
        ("tiny-glm", "glm", "glm4-newline"),
        ("tiny-falcon", "falcon", "falcon-instruct"),
    ],
)
def test_the_built_in_models(model: str, family: str, template: str) -> None:
    assert chosen(family, model, BUILTIN / model, **read_config(BUILTIN / model)) == template


ASKED = "{% if add_generation_prompt %}<|assistant|>"


@pytest.mark.parametrize(
    ("file", "source", "template"),
    [
        ("chat_template.jinja", f"{ASKED}{{% endif %}}", "glm4"),
        ("chat_template.jinja", f"{ASKED}\n{{% endif %}}", "glm4-newline"),
        ("chat_template.jinja", r"{% if add_generation_prompt %}{{ '<|assistant|>\n' }}", "glm4-newline"),
        ("tokenizer_config.json", json.dumps({"chat_template": f"{ASKED}{{% endif %}}"}), "glm4"),
        ("tokenizer_config.json", json.dumps({"chat_template": f"{ASKED}\n{{% endif %}}"}), "glm4-newline"),
    ],
)
def test_the_end_of_glm_s_generation_prompt(file: str, source: str, template: str, tmp_path: Path) -> None:
    (tmp_path / file).write_text(source, encoding="utf-8")
    assert chosen("glm", "mine", tmp_path, model_type="glm4") == template


def test_a_llama_with_chatml_s_tokens(tmp_path: Path) -> None:
    assert chosen("llama", "mine", tmp_path, model_type="llama") == "alpaca"
    added = {"0": {"content": "<|im_start|>"}, "1": {"content": "<|im_end|>"}}
    (tmp_path / "tokenizer_config.json").write_text(json.dumps({"added_tokens_decoder": added}), encoding="utf-8")
    assert chosen("llama", "mine", tmp_path, model_type="llama") == "chatml"
