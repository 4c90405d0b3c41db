"""The template ``model``: each model's own Jinja as spans, with exact masks, and no words that become a token."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import graftlm_registry
from graftlm.api import (
    Conversation,
    DataError,
    GraftlmError,
    Message,
    ModelError,
    PromptTemplate,
    Rendered,
    RenderOptions,
    RenderRequest,
    Span,
    ToolCall,
    UsageError,
)
from graftlm.chat_templates.own import OwnTemplate
from graftlm.encoding.tokenizing import SpanTokenizer
from graftlm_plugins.templates.model_slots import number, stand_ins
from graftlm_registry.plugins import registry

BUILTIN = Path(graftlm_registry.__file__).parent / "builtin"
SAY, ASK, THINK = RenderOptions(), RenderOptions(generation_prompt=True), RenderOptions(True, True)
TOKENS = frozenset(["<s>", "</s>", "<|im_start|>", "<|im_end|>", "<think>", "</think>", "<tool_call>", "</tool_call>"])
S, U, U2 = Message("system", "S y"), Message("user", " U1 <|im_end|></s>\n"), Message("user", "U2")
A, A2 = Message("assistant", " A1\n\nx"), Message("assistant", "A2 [/INST]")
T = Message("assistant", "<think>\nhm <|im_end|>\n</think>\n\nA9")

CHATML = """
{%- for m in messages %}{{ '<|im_start|>' + m.role + '\n' + m.content + '<|im_end|>\n' }}{% endfor %}
{%- if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"""
GENERATION = """
{%- for m in messages %}{{ '<|im_start|>' + m.role + '\n' }}
{%- if m.role == 'assistant' %}{% generation %}{{ m.content + '<|im_end|>\n' }}{% endgeneration %}
{%- else %}{{ m.content + '<|im_end|>\n' }}{% endif %}{% endfor %}"""
TRIMS = CHATML.replace("m.content", "(m.content | trim)")
CHANGES = CHATML.replace("m.content", "(m.content | lower | replace(' ', ''))")
PLAIN = """
{%- for m in messages %}{{ ('Q: ' if m.role == 'user' else 'A: ') + m.content + '\n' }}{% endfor %}
{%- if add_generation_prompt %}A:{% endif %}"""
REWRITES = """
{%- for m in messages %}{% set role = 'assistant last' if loop.last and m.role == 'assistant' else m.role %}
    {{- '<|im_start|>' + role + '\n' + m.content + '<|im_end|>' }}
{%- endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant last\n' }}{% endif %}"""
MOVES = """
{%- for m in messages %}{{ '<|im_start|>' + (loop.length | string) + m.role + '\n' + m.content + '<|im_end|>' }}
{%- endfor %}"""
REFUSES = "{% if messages[0].role == 'system' %}{{ raise_exception('no system, please') }}{% endif %}" + CHATML
DROPS = CHATML.replace("m.content", "('' if m.role == 'system' else m.content)")
LOOKS = "{{ 'seven' if messages[0].content | length == 7 else '' }}" + CHATML
TOOLS = """
{%- if tools %}{{ '<|im_start|>system\n' + tools | tojson + '<|im_end|>\n' }}{% endif %}
{%- for m in messages %}{{ '<|im_start|>' + m.role + '\n' + m.content }}
{%- for call in m.tool_calls or [] %}{{ '<tool_call>\n' + call.function | tojson + '\n</tool_call>' }}{% endfor %}
{{- '<|im_end|>\n' }}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"""
SWITCH = """
{%- for m in messages %}{{ '<|im_start|>' + m.role + '\n' }}
    {%- if m.role == 'user' %}{{ m.content + ('' if enable_thinking else '/off') }}
    {%- else %}
        {%- set parts = m.content.split('</think>') %}
        {%- set thought = parts[0].split('<think>')[-1].strip() if parts | length > 1 and loop.last else '' %}
        {{- '<think>' + thought + '</think>' + parts[-1].strip() }}
    {%- endif %}{{ '<|im_end|>' }}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|im_start|>assistant\n' + ('' if enable_thinking else '<think></think>') }}
{%- endif %}"""
TOOL = {"type": "function", "function": {"name": "weather", "parameters": {"type": "object", "properties": {}}}}


@cache
def own(source: str) -> OwnTemplate:
    return OwnTemplate(source, special_tokens={"bos_token": "<s>", "eos_token": "</s>"}, added_tokens=TOKENS)


@cache
def bound(source: str) -> PromptTemplate:
    spec = registry().get(PromptTemplate, "model")
    assert spec.for_model is not None
    return spec.for_model(own(source))


@cache
def of_builtin(name: str) -> PromptTemplate:
    spec = registry().get(PromptTemplate, "model")
    assert spec.for_model is not None
    return spec.for_model(OwnTemplate.from_folder(BUILTIN / name))


def text(spans: Sequence[Span]) -> str:
    return "".join(span.text for span in spans if not span.added)


def trained(spans: Sequence[Span]) -> list[str]:
    """What is supervised, one string a run of supervised spans."""
    runs, before = [], False
    for span in spans:
        if span.trained:
            runs[-1:] = [runs[-1] + span.text] if before else [*runs[-1:], span.text]
        before = span.trained
    return runs


def controls(spans: Sequence[Span]) -> list[str]:
    return [span.text for span in spans if span.kind == "control"]


TALKS = (
    (U,), (U, A), (U, A, U2), (U, A, U2, A2), (S, U), (S, U, A), (U, T), (U, T, U2, A2), (U, A, U2, T), (U, T, U2),
    (U, replace(A, train=False), U2, A2), (S, U, replace(A, train=False), U2, A2),
    (U, Message("assistant", "")), (U, Message("assistant", "x</think>y")), (U, Message("assistant", "\nfoo\n\n")),
)  # fmt: skip


@pytest.mark.parametrize(
    ("model", "named"), [("tiny-mistral", "mistral-v3"), ("tiny-qwen", "qwen3"), ("tiny-falcon", "falcon-instruct")]
)
def test_rows_are_those_of_the_named_template(model: str, named: str) -> None:
    tokenizer = SpanTokenizer.from_folder(BUILTIN / model)
    ours, theirs = registry().get(PromptTemplate, named), of_builtin(model)
    assert theirs.end_token == ours.end_token
    for talk in TALKS:
        for options in (SAY,) if talk[-1].role == "assistant" else (SAY, ASK, THINK):
            conversation = Conversation(talk)
            expected = tokenizer.encode(ours.render(conversation, options))
            assert tokenizer.encode(theirs.render(conversation, options)) == expected, (talk, options)


def test_glm_rows_are_those_of_its_own_text() -> None:
    """The next role's token ends a turn and is supervised; the last one is added."""
    spans = of_builtin("tiny-glm").render(Conversation((S, U, A, U2, A2)), SAY)
    rendered = OwnTemplate.from_folder(BUILTIN / "tiny-glm").render(
        [{"role": m.role, "content": m.content} for m in (S, U, A, U2, A2)]
    )
    assert text(spans) == rendered.text
    assert trained(spans) == [A.content + "<|user|>", A2.content + "<|user|>"]
    assert [span.text for span in spans if span.added] == ["<|user|>"]
    assert spans[-1].added


def test_what_is_known_of_a_model() -> None:
    qwen, falcon = of_builtin("tiny-qwen"), of_builtin("tiny-falcon")
    assert (qwen.thinking, qwen.tools, qwen.document_start, qwen.document_end) == (True, False, (), "<|im_end|>")
    assert set(qwen.control_tokens) == {"<|im_start|>", "<|im_end|>", "<think>", "</think>"}
    assert (falcon.thinking, falcon.document_start, falcon.document_end) == (False, ("<|endoftext|>",), "<|endoftext|>")
    assert of_builtin("tiny-glm").stop_tokens == ("<|user|>", "<|endoftext|>")
    assert bound(CHATML).stop_tokens == ("<|im_end|>", "</s>")
    assert bound(TOOLS).tools
    assert {"<tool_call>", "</tool_call>"} <= set(bound(TOOLS).control_tokens)
    assert not bound(CHATML).tools
    assert qwen.said("<think>\nhm\n</think>\n\n yes ") == "yes"


@pytest.mark.parametrize("source", [CHATML, GENERATION, TRIMS, REWRITES, LOOKS])
def test_the_answers_are_trained_with_their_ends(source: str) -> None:
    """Not the line end that stands after an end token, in a generation block or not."""
    first = Message("assistant", "A1", train=False if source == REWRITES else None)
    spans = bound(source).render(Conversation((U2, first, U2, A2)), SAY)
    ends = ["A2 [/INST]<|im_end|>"]
    assert trained(spans) == (ends if source == REWRITES else ["A1<|im_end|>", *ends])
    assert not any(span.added for span in spans)


def test_generation_blocks_come_before_prompts() -> None:
    """This template has no generation prompt; the blocks say where answers begin."""
    spans = bound(GENERATION).render(Conversation((U, A)), SAY)
    assert trained(spans) == [A.content + "<|im_end|>"]
    assert text(spans).endswith("<|im_start|>assistant\n" + A.content + "<|im_end|>\n")


def test_a_template_without_ends_gets_them() -> None:
    spans = bound(PLAIN).render(Conversation((U2, A2, U2, A2)), SAY)
    assert trained(spans) == [" A2 [/INST]</s>"] * 2
    assert text(spans) == "Q: U2\nA: A2 [/INST]\nQ: U2\nA: A2 [/INST]\n"
    prompt = bound(PLAIN).render(Conversation((U2, A2, U2)), ASK)
    assert "".join(s.text for s in spans).startswith("".join(s.text for s in prompt))
    assert not prompt[-1].answer


def test_thoughts() -> None:
    """An empty one is the prompt's where the model is told not to think; one with words is the model's."""
    template = bound(SWITCH)
    assert template.thinking
    assert trained(template.render(Conversation((U2, A2)), SAY)) == ["A2 [/INST]<|im_end|>"]
    spans = template.render(Conversation((U2, T, U2, T)), SAY)
    assert trained(spans) == ["A9<|im_end|>", "<think>hm <|im_end|></think>A9<|im_end|>"]
    assert controls(spans)[-3:] == ["<think>", "</think>", "<|im_end|>"]
    assert text(template.render(Conversation((U2,)), THINK)) == (
        "<|im_start|>user\nU2<|im_end|><|im_start|>assistant\n"
    )


@pytest.mark.parametrize("source", [REWRITES, MOVES])
def test_rewritten_turns_are_not_taught(source: str) -> None:
    with pytest.raises(DataError, match=r"rewrites earlier turns when later ones come.*--train-on last"):
        bound(source).render(Conversation((U, A, U2, A2)), SAY)
    last = (U, replace(A, train=False), U2, A2)
    if source == MOVES:
        with pytest.raises(DataError, match="where the last answer begins and ends cannot be told"):
            bound(source).render(Conversation(last), SAY)
    else:
        spans = bound(source).render(Conversation(last), SAY)
        assert trained(spans) == ["A2 [/INST]<|im_end|>"]
        assert next((s.text, s.trained) for s in spans if s.answer) == (A.content.strip(), False)


def test_a_refusal_is_the_template_s() -> None:
    assert trained(bound(REFUSES).render(Conversation((U, A)), SAY)) == [A.content + "<|im_end|>"]
    with pytest.raises(DataError, match="refuses this conversation: no system, please"):
        bound(REFUSES).render(Conversation((S, U, A)), SAY)


def test_nothing_is_lost_silently() -> None:
    with pytest.raises(DataError, match="leaves out what the system says in turn 1"):
        bound(DROPS).render(Conversation((S, U, A)), SAY)
    with pytest.raises(DataError, match="leaves out tools \\('weather'\\)"):
        bound(CHATML).render(Conversation((U, A), tools=(TOOL,)), SAY)
    called = Message("assistant", "", tool_calls=(ToolCall("weather", {"city": "Rome"}),))
    with pytest.raises(DataError, match="leaves out calls of tools"):
        bound(CHATML).render(Conversation((U, called)), SAY)


def test_tools() -> None:
    """Calls are trained to their last token; a token's text in an argument stays words."""
    call = ToolCall("weather", {"city": 'Rome "</tool_call><|im_end|>"\n', "days": [1, "two"]}, id="c1")
    talk = (U2, Message("assistant", "", tool_calls=(call,)), Message("tool", "sunny</tool_call>", name="weather"), A2)
    spans = bound(TOOLS).render(Conversation(talk, tools=(TOOL,)), SAY)
    said = json.dumps({"name": "weather", "arguments": call.arguments}, ensure_ascii=False)
    assert trained(spans) == [f"<tool_call>\n{said}\n</tool_call><|im_end|>", "A2 [/INST]<|im_end|>"]
    assert controls(spans).count("</tool_call>") == 1
    assert controls(spans).count("<|im_end|>") == 5
    hostile = {"type": "function", "function": {"name": "weather", "description": "a <think> tool"}}
    with pytest.raises(DataError, match="'<think>' is a control token of this model"):
        bound(TOOLS).render(Conversation((U2, A2), tools=(hostile,)), SAY)


def test_words_that_a_template_changes() -> None:
    """Text that only becomes a token's on its way stays words."""
    spans = bound(CHANGES).render(Conversation((Message("user", "< | IM_end | > X"), Message("assistant", "Y Z"))), SAY)
    assert text(spans) == "<|im_start|>user\n<|im_end|>x<|im_end|>\n<|im_start|>assistant\nyz<|im_end|>\n"
    assert controls(spans) == ["<|im_start|>", "<|im_end|>"] * 2
    assert trained(spans) == ["yz<|im_end|>"]


def test_words_that_cannot_be_placed() -> None:
    """A template that looks at words: control tokens are found in the whole text, if the words hold none."""
    seven = Message("user", "1234567")
    spans = bound(LOOKS).render(Conversation((seven, A2)), SAY)
    assert text(spans).startswith("seven<|im_start|>user\n1234567<|im_end|>")
    assert trained(spans) == ["A2 [/INST]<|im_end|>"]
    with pytest.raises(DataError, match="'</s>' is a control token of this model, and stands in the data"):
        bound(LOOKS).render(Conversation((seven, Message("assistant", "</s>"))), SAY)


def test_words_that_look_like_what_stands_in_for_them() -> None:
    """However many of them a row holds."""
    hostile = Message("user", "wqx" + "qx" * 40_000)
    spans = bound(CHATML).render(Conversation((hostile, A)), SAY)  # starts the child
    begin = time.perf_counter()
    assert bound(CHATML).render(Conversation((hostile, A)), SAY) == spans
    assert time.perf_counter() - begin < 1
    assert [s.text for s in spans if s.kind == "content"] == [hostile.content, A.content.strip()]
    first, finds = stand_ins(2, ["wqx", "\ud800"])
    assert (first, finds) == stand_ins(2, ["wqx", "\ud800"])
    assert first != stand_ins(2, ["wqx"])[0]
    assert [number(match) for match in finds.findall(" ".join(first))] == [0, 1]


def test_a_model_without_a_template() -> None:
    spec = registry().get(PromptTemplate, "model")
    assert spec.for_model is not None
    with pytest.raises(ModelError, match="no chat template of its own: choose one with --template"):
        spec.for_model(own(""))
    with pytest.raises(ModelError, match="is not valid Jinja"):
        spec.for_model(own("{% if %}"))
    with pytest.raises(ModelError, match="no token that ends an answer"):
        spec.for_model(OwnTemplate(PLAIN))
    with pytest.raises(UsageError, match="give --model"):
        spec.render(Conversation((U,)), SAY)


class OneByOne:
    """A ``TemplateModel`` with nothing but what the protocol asks for."""

    bos_token, eos_token, added_tokens, chat_template = "", "</s>", TOKENS, CHATML

    def render(
        self, messages: Sequence[Mapping[str, Any]], tools: Sequence[Mapping[str, Any]] = (), **variables: Any
    ) -> Rendered:
        return own(CHATML).render(messages, tools, **variables)

    def render_many(self, asked: Sequence[RenderRequest]) -> list[Rendered | GraftlmError]:
        return [self.render(one.messages, one.tools, **one.variables) for one in asked]


def test_any_template_model_will_do() -> None:
    spec = registry().get(PromptTemplate, "model")
    assert spec.for_model is not None
    conversation = Conversation((S, U, A, U2, A2))
    assert spec.for_model(OneByOne()).render(conversation, SAY) == bound(CHATML).render(conversation, SAY)


PIECES = st.sampled_from(
    [*sorted(TOKENS), "[/INST]", "Wqx", "Wqxaaaa", "WqxaaaaZ", "<", "im_", " ", "\n\n", "\r\n", "A"]
)
HOSTILE = st.lists(st.one_of(PIECES, st.text(max_size=5)), max_size=6).map("".join)


@st.composite
def conversations(draw: st.DrawFn) -> Conversation:
    turns = [Message("system", draw(HOSTILE))] if draw(st.booleans()) else []
    for _ in range(draw(st.integers(1, 3))):
        turns += [
            Message("user", draw(HOSTILE)),
            Message("assistant", draw(HOSTILE), draw(st.sampled_from((None, True, False)))),
        ]
    return Conversation(tuple(turns[: -1 if draw(st.booleans()) else None]))


def harmless(conversation: Conversation) -> Conversation:
    return replace(conversation, messages=tuple(replace(m, content="q") for m in conversation.messages))


@pytest.mark.parametrize(
    "source", [CHATML, GENERATION, TRIMS, CHANGES, PLAIN], ids=["chatml", "generation", "trims", "changes", "plain"]
)
@settings(max_examples=60, deadline=None)
@given(conversation=conversations())
def test_words_never_become_tokens(source: str, conversation: Conversation) -> None:
    """And spans are the model's own text; the trained ones are the answers and their ends."""
    template = bound(source)
    for options in (SAY, ASK):
        spans = template.render(conversation, options)
        rendered = own(source).render(
            [{"role": m.role, "content": m.content} for m in conversation.messages],
            add_generation_prompt=options.generation_prompt,
        )
        assert text(spans) == rendered.text
        assert controls(spans) == controls(template.render(harmless(conversation), options))
        assert {span.text for span in spans if span.kind == "control"} <= set(template.control_tokens)
        assert all(span.answer for span in spans if span.trained)
    taught = [m for m in conversation.messages if m.role == "assistant" and m.train is not False]
    spans = template.render(conversation, SAY)
    assert sum(s.trained and s.kind == "control" for s in spans) == len(taught)
    if source in (CHATML, GENERATION):
        assert "".join(s.text for s in spans if s.trained) == "".join(m.content + "<|im_end|>" for m in taught)


@pytest.mark.parametrize("model", ["tiny-mistral", "tiny-qwen", "tiny-glm", "tiny-falcon"])
@settings(max_examples=40, deadline=None)
@given(conversation=conversations())
def test_words_never_become_ids(model: str, conversation: Conversation) -> None:
    template, tokenizer = of_builtin(model), tokenizers(model)
    try:
        spans = template.render(conversation, SAY)
    except DataError as error:
        assert any(words in str(error) for words in ("rewrites", "control token", "leaves out"))  # noqa: PT017
        return
    control = {tokenizer.control_id(token) for token in template.control_tokens}
    found = [i for i in tokenizer.encode(spans).ids if i in control]
    assert found == [tokenizer.control_id(span.text) for span in spans if span.kind == "control"]


@cache
def tokenizers(model: str) -> SpanTokenizer:
    return SpanTokenizer.from_folder(BUILTIN / model)


@pytest.fixture(scope="module", autouse=True)
def closed() -> Iterator[None]:
    yield
    own.cache_clear()
    bound.cache_clear()
    of_builtin.cache_clear()
