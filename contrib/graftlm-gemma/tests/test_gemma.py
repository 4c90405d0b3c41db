"""``gemma``, family and template, judged by their suites; and what is Gemma's own."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from tokenizers import Tokenizer
from transformers import AutoConfig, AutoModelForCausalLM, PreTrainedTokenizerFast

from graftlm.api import Conversation, DataError, Message, ModelDescription, ModelError, RenderOptions
from graftlm.testing import AcceleratorSuite
from graftlm.testing.in_process import train_in_process
from graftlm.testing.judging import judge
from graftlm.testing.talks import CORPUS
from graftlm_gemma import facts, render, template
from graftlm_gemma.conformance import GemmaSuite, GemmaTemplateSuite, write_tokenizer

# What Gemma 3's own template does, in words of ours; those of Gemma and Gemma 2 do the same, and refuse a system turn.
JINJA = """{{- bos_token -}}
{%- set told = namespace(words='') -%}
{%- for turn in messages -%}
    {%- if turn.role == 'system' -%}{%- set told.words = turn.content + '\\n\\n' -%}
    {%- else -%}
        {{- '<start_of_turn>' + ('model' if turn.role == 'assistant' else 'user') + '\\n' -}}
        {{- told.words + (turn.content | trim) + '<end_of_turn>\\n' -}}
        {%- set told.words = '' -%}
    {%- endif -%}
{%- endfor -%}
{%- if add_generation_prompt -%}{{- '<start_of_turn>model\\n' -}}{%- endif -%}"""


class TestGemma(GemmaSuite):
    pass


class TestGemmaTemplate(GemmaTemplateSuite):
    pass


def tiny(kind: str, folder: Path) -> str:
    """A random model of a kind, with the tokenizer of the tests."""
    write_tokenizer(folder)
    words = Tokenizer.from_file(str(folder / "tokenizer.json")).get_vocab_size()
    known = {**GemmaSuite.configs[kind], "vocab_size": words, "max_position_embeddings": 512, "sliding_window": 16}
    del known["model_type"]
    torch.manual_seed(0)
    AutoModelForCausalLM.from_config(AutoConfig.for_model(kind, **known)).save_pretrained(folder)
    return str(folder)


@pytest.mark.parametrize("prompt", [True, False])
@pytest.mark.parametrize("messages", CORPUS)
def test_it_says_what_transformers_makes_of_the_model_s_own_template(
    messages: tuple[Message, ...], prompt: bool
) -> None:
    tokenizer = PreTrainedTokenizerFast.from_pretrained(GemmaTemplateSuite.tokenizer)
    turns = [{"role": message.role, "content": message.content} for message in messages]
    wanted = tokenizer.apply_chat_template(turns, chat_template=JINJA, tokenize=False, add_generation_prompt=prompt)
    said = render(Conversation(messages), RenderOptions(generation_prompt=prompt))
    assert "".join(span.text for span in said) == wanted


def test_words_of_a_system_that_no_user_follows_are_refused() -> None:
    with pytest.raises(DataError, match="a user's turn must follow the system's words"):
        render(Conversation((Message("system", "S"), Message("assistant", "A"))), RenderOptions())


@pytest.mark.parametrize(
    ("files", "name"),
    [
        ({}, "alpaca"),
        ({"tokenizer_config.json": {"added_tokens_decoder": {"106": {"content": "<start_of_turn>"}}}}, "alpaca"),
        ({"tokenizer_config.json": {"chat_template": JINJA}}, "gemma"),
        ({"tokenizer_config.json": {"chat_template": "<|im_start|>"}}, "model"),
        ({"chat_template.jinja": JINJA}, "gemma"),
    ],
)
def test_the_template_is_the_model_s_own(files: Mapping[str, Any], name: str, tmp_path: Path) -> None:
    for file, said in files.items():
        (tmp_path / file).write_text(said if isinstance(said, str) else json.dumps(said), encoding="utf-8")
    model = ModelDescription(name="x", source="test", folder=tmp_path, config={"model_type": "gemma2"})
    assert template(model) == name


def test_a_model_that_attends_both_ways_is_refused() -> None:
    with pytest.raises(ModelError, match="embeds texts and writes none"):
        facts({"model_type": "gemma3_text", "use_bidirectional_attention": True})


def test_the_defaults_are_those_of_transformers() -> None:
    """A config.json says only what differs from them."""
    for kind in GemmaSuite.configs:
        kind = kind.partition("/")[0]
        config = AutoConfig.for_model(kind)
        bare, whole = facts({"model_type": kind}), facts(config.to_dict())
        for name in ("hidden", "layers", "vocabulary", "context", "heads", "kv_heads", "head_dim", "intermediate"):
            assert getattr(bare.shape, name) == getattr(whole.shape, name), (kind, name)
        assert bare.shape is not None
        assert whole.shape is not None
        assert bare.shape.parameters == whole.shape.parameters


@pytest.mark.parametrize(
    ("kind", "taken"),
    [
        ("gemma2", ("eager", "fused-lora", "supervised-logits")),
        ("gemma3_text", ("varlen", "fused-lora", "supervised-logits")),
    ],
)
def test_what_auto_takes_is_exact_on_it(kind: str, taken: tuple[str, ...], tmp_path: Path) -> None:
    """Caps on scores and logits, windows that are shorter than the samples, and two RoPEs."""

    class Together(AcceleratorSuite):
        accelerators = taken
        models = (tiny(kind, tmp_path),)

        def allowed(self, model: str, **settings: Any) -> Iterator[Any]:
            plans = super().allowed(model, template="gemma", **settings)
            return (found for found in plans if len(found[1]) == len(taken))

    (verdict,) = judge(Together, ["test_the_gradients_are_those_of_plain_execution"])
    assert verdict.state == "passed", verdict.reason


@pytest.mark.parametrize("kind", ["gemma2", "gemma3_text"])
def test_a_whole_training(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GRAFTLM_HOME", str(tmp_path / "home"))
    data, folder = tmp_path / "rows.jsonl", tmp_path / kind
    rows = ({"instruction": f"Say {i}", "output": f"{i}"} for i in range(30))
    data.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    model = tiny(kind, folder)
    (folder / "chat_template.jinja").write_text(JINJA, encoding="utf-8")
    done = train_in_process(
        data=str(data), model=model, name="said", max_steps=12, batch_size=8, learning_rate=5e-3, retention=False,
        target_modules="q_proj,gate_proj",
    )  # fmt: skip
    losses = done.outcome.losses
    assert losses[-1] < losses[0] - 0.5
    assert done.outcome.effective.attention == ("eager" if kind == "gemma2" else "sdpa")
