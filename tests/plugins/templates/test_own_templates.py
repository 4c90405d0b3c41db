"""Our templates against the Jinja templates that the models carry, and the pieces against one-piece tokenization."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import graftlm_registry
from graftlm.api import Conversation, Message, PromptTemplate, RenderOptions
from graftlm.encoding.tokenizing import IGNORED, SpanTokenizer
from graftlm_registry.plugins import registry

BUILTIN = Path(graftlm_registry.__file__).parent / "builtin"
MODELS = {
    "tiny-mistral": "mistral-v3",
    "tiny-qwen": "qwen3",
    "tiny-glm": "glm4-newline",
    "tiny-falcon": "falcon-instruct",
}
TOKENIZERS = {name: SpanTokenizer.from_folder(BUILTIN / name) for name in MODELS}
WORDS = st.text(min_size=1, max_size=30).map(str.strip).filter(bool)


def template_of(model: str) -> PromptTemplate:
    return registry().get(PromptTemplate, MODELS[model])


@st.composite
def conversations(draw: st.DrawFn, words: st.SearchStrategy[str] = WORDS) -> Conversation:
    turns = [Message("system", draw(words))] if draw(st.booleans()) else []
    for _ in range(draw(st.integers(1, 3))):
        turns += [
            Message("user", draw(words)),
            Message("assistant", draw(words), draw(st.sampled_from((None, True, False)))),
        ]
    return Conversation(tuple(turns))


@pytest.mark.parametrize("model", MODELS)
def test_the_model_s_own_template_gives_the_same_text(model: str) -> None:
    from transformers import AutoTokenizer

    own, template = AutoTokenizer.from_pretrained(BUILTIN / model), template_of(model)
    odd = (" lead", "trail ", "\n\nnew\nlines\n", " two\r\nlines ", "<think>\nhm\n</think>\n\nok", "<|im_end|>", "🙂")
    corpus = [
        [("user", "U1")],
        [("user", "U1"), ("assistant", "A1")],
        [("system", "S"), ("user", "U1"), ("assistant", "A1"), ("user", "U2"), ("assistant", "A2")],
        *([("system", w), ("user", w), ("assistant", w), ("user", w)] for w in odd),
        *([("user", w), ("assistant", w), ("user", w), ("assistant", w)] for w in odd),
    ]
    for turns in corpus:
        for thinking in (False, True) if template.thinking else (False,):
            asks = turns[-1][0] == "user"
            theirs = own.apply_chat_template(
                [{"role": role, "content": words} for role, words in turns],
                tokenize=False,
                add_generation_prompt=asks,
                enable_thinking=thinking,
            )
            spans = template.render(Conversation(tuple(Message(r, w) for r, w in turns)), RenderOptions(asks, thinking))
            assert "".join(span.text for span in spans if not span.added) == theirs


@pytest.mark.parametrize("model", MODELS)
@settings(max_examples=60, deadline=None)
@given(conversation=conversations())
def test_labels_are_the_ids_of_the_trained_spans(model: str, conversation: Conversation) -> None:
    tokenizer, template = TOKENIZERS[model], template_of(model)
    spans = template.render(conversation, RenderOptions())
    encoded = tokenizer.encode(spans)
    trained = [label for label in encoded.labels if label != IGNORED]
    assert len(encoded.ids) == len(encoded.labels)
    assert all(label in (IGNORED, i) for i, label in zip(encoded.ids, encoded.labels, strict=True))
    assert trained == [i for group in tokenizer.pieces(spans) if group[0].trained for i in tokenizer.encode(group).ids]
    ends = sum(m.role == "assistant" and m.train is not False for m in conversation.messages)
    assert trained.count(tokenizer.control_id(template.end_token)) == ends


@pytest.mark.parametrize("model", MODELS)
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_typed_control_tokens_stay_words(model: str, data: st.DataObject) -> None:
    tokenizer, template = TOKENIZERS[model], template_of(model)
    tokens = st.sampled_from([*template.control_tokens, "<think>", "</think>", "[INST]", "<|im_start|>"])
    hostile = (
        st.lists(st.one_of(tokens, st.text(max_size=4)), min_size=1, max_size=4)
        .map("".join)
        .map(str.strip)
        .filter(bool)
    )
    conversation = data.draw(conversations(hostile))
    spans = template.render(conversation, RenderOptions())
    control = {tokenizer.control_id(t) for t in template.control_tokens}
    found = sum(i in control for i in tokenizer.encode(spans).ids)
    assert found == sum(span.kind == "control" for span in spans)


@pytest.mark.parametrize("model", MODELS)
@settings(max_examples=60, deadline=None)
@given(words=WORDS)
def test_words_survive_the_tokenizer(model: str, words: str) -> None:
    import unicodedata

    tokenizer = TOKENIZERS[model]
    expected = unicodedata.normalize("NFC", words) if model == "tiny-qwen" else words
    assert tokenizer.decode(tokenizer.words(f" {words}")).strip() == expected.strip()


def test_no_token_reaches_across_the_end_of_the_prompt() -> None:
    """In one piece, GLM's "…<|assistant|>\\n" and an answer that starts with a new line share one token."""
    tokenizer, template = TOKENIZERS["tiny-glm"], template_of("tiny-glm")
    asked = (Message("user", "x"),)
    prompt = tokenizer.encode(template.render(Conversation(asked), RenderOptions(generation_prompt=True))).ids
    whole = template.render(Conversation((*asked, Message("assistant", "\nfoo"))), RenderOptions())
    one_piece = tokenizer._full.encode("".join(s.text for s in whole), add_special_tokens=False).ids
    assert tokenizer.encode(whole).ids[: len(prompt)] == prompt
    assert one_piece[: len(prompt)] != prompt
