"""Templates made for one model: its own end of text, and the control tokens that its tokenizer has."""

from __future__ import annotations

import json
from functools import cache
from typing import ClassVar

import pytest
import test_templates as golden
from small_tokenizers import byte_level
from test_templates import A1, ASK, SAY, U1, U2, S

from graftlm.api import Conversation, Message, PromptTemplate, RenderOptions, TemplateModel
from graftlm.chat_templates.own import OwnTemplate
from graftlm.testing import TemplateSuite
from graftlm_registry.plugins import registry

ROLES = ("<|system|>", "<|user|>", "<|assistant|>")
QWEN3 = ("<|endoftext|>", "<|im_start|>", "<|im_end|>", "<tool_call>", "</tool_call>", "<tool_response>",
         "</tool_response>", "<think>", "</think>")  # fmt: skip


def model(*tokens: str, bos: str = "", eos: str = "") -> TemplateModel:
    """A model with these added tokens, read as any model is."""
    folder = byte_level(*tokens)
    named = {name: token for name, token in (("bos_token", bos), ("eos_token", eos)) if token}
    (folder / "tokenizer_config.json").write_text(json.dumps(named), encoding="utf-8")
    return OwnTemplate.from_folder(folder)


def made(name: str, own: TemplateModel) -> PromptTemplate:
    spec = registry().get(PromptTemplate, name)
    assert spec.for_model is not None
    return spec.for_model(own)


def text(spec: PromptTemplate, *messages: Message, options: RenderOptions = SAY) -> str:
    return "".join(span.text for span in spec.render(Conversation(messages), options))


@pytest.mark.parametrize("name", ["alpaca", "vicuna"])
def test_a_base_model_s_own_first_and_last_tokens(name: str) -> None:
    plain = registry().get(PromptTemplate, name)
    spec = made(name, model("<bos>", "<eos>", bos="<bos>", eos="<eos>"))
    assert text(spec, S, U1, A1) == "<bos>" + text(plain, S, U1, A1).replace("</s>", "<eos>")
    assert (spec.control_tokens, spec.end_token, spec.stop_tokens) == (("<bos>", "<eos>"), "<eos>", ("<eos>",))
    assert (spec.document_start, spec.document_end) == (("<bos>",), "<eos>")
    assert text(made(name, model("<eos>", eos="<eos>")), U1).startswith(("Below", "A chat"))
    separator = made(name, model("<|endoftext|>", bos="<|endoftext|>", eos="<|endoftext|>"))
    assert text(separator, U1, A1).count("<|endoftext|>") == 1


def test_a_chatml_text_ends_as_the_model_s_do() -> None:
    assert made("chatml", model("<|im_start|>", "<|im_end|>", "</s>", eos="</s>")).document_end == "</s>"
    assert made("chatml", model(*QWEN3, eos="<|im_end|>")).document_end == "<|endoftext|>"


def test_falcon_h1_begins_with_the_model_s_first_token() -> None:
    own = model("<s>", "</s>", "<|im_start|>", "<|im_end|>", bos="<s>", eos="</s>")
    spec = made("falcon-h1", own)
    assert text(spec, U1, options=ASK) == "<s><|im_start|>user\nU1<|im_end|>\n<|im_start|>assistant\n"
    assert spec.document_start == ("<s>",)
    assert spec.document_end == "</s>"
    instruct = made("falcon-h1", model("<|begin_of_text|>", bos="<|begin_of_text|>", eos="<|im_end|>"))
    assert instruct.document_end == "<|end_of_text|>"


def test_mistral_without_tokens_for_tools_has_none() -> None:
    known = ("<s>", "</s>", "[INST]", "[/INST]")
    spec = made("mistral-v3", model(*known))
    assert not spec.tools
    assert spec.control_tokens == known
    tools = ("[AVAILABLE_TOOLS]", "[/AVAILABLE_TOOLS]", "[TOOL_CALLS]", "[TOOL_RESULTS]", "[/TOOL_RESULTS]")
    assert made("mistral-v3", model(*known, *tools)).tools


def test_qwen_without_tokens_for_tools_has_none() -> None:
    spec = made("qwen3", model("<|endoftext|>", "<|im_start|>", "<|im_end|>", "<think>", "</think>"))
    assert not spec.tools
    assert spec.control_tokens == ("<|im_start|>", "<|im_end|>", "<think>", "</think>")


class MadeFor(TemplateSuite):
    """The suite on a template that was made for a model with these tokens."""

    tokens: ClassVar[tuple[str, ...]]

    @property
    def spec(self) -> PromptTemplate:
        return _made(self.template, self.tokens)


@cache
def _made(name: str, tokens: tuple[str, ...]) -> PromptTemplate:
    return made(name, model(*tokens))


class TestQwen3WithTokensForAnswersOfTools(MadeFor):
    template, goldens, tokens = "qwen3", golden.TestQwen3.goldens, QWEN3
    tokenizer = byte_level(*QWEN3)

    def test_a_tool_s_answer_stands_between_control_tokens(self) -> None:
        spans = self.render((U1, Message("tool", "21")))
        assert {"<tool_response>", "</tool_response>"} <= {s.text for s in spans if s.kind == "control"}


class TestFalcon3WithTokensForRoles(MadeFor):
    template, goldens, tokens = "falcon3", golden.TestFalcon3.goldens, ("<|endoftext|>", *ROLES)
    tokenizer = byte_level("<|endoftext|>", *ROLES)


class TestGlm45WithoutATokenForNoThinking(MadeFor):
    template, goldens = "glm4.5", golden.TestGlm45.goldens
    tokens = ("<|endoftext|>", "[gMASK]", "<sop>", *ROLES, "<|observation|>", "<think>", "</think>")
    tokenizer = byte_level(*tokens)


def test_two_users_in_a_row() -> None:
    """Every template says all words, in order."""
    for spec in registry().all(PromptTemplate):
        if spec.name != "model":
            words = text(spec, S, U1, U2, A1, options=ASK)
            assert words.index("U1") < words.index("U2") < words.index("A1")
