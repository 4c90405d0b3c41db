"""Mistral's templates against mistral-common: the same token ids, with Mistral's real tokenizers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("mistral_common")

from mistral_common.protocol.instruct.messages import (
    AssistantMessage,
    SystemMessage,
    ToolMessage,
    UserMessage,
)
from mistral_common.protocol.instruct.request import ChatCompletionRequest
from mistral_common.protocol.instruct.tool_calls import Function, FunctionCall, Tool
from mistral_common.protocol.instruct.tool_calls import ToolCall as TheirCall
from mistral_common.tokens.tokenizers.mistral import MistralTokenizer
from mistral_tokenizers import ALL_TEKKEN_WORDS, FILES, definition, theirs

from graftlm.api import Conversation, DataError, Message, PromptTemplate, RenderOptions, ToolCall
from graftlm.encoding.tokenizing import IGNORED, SpanTokenizer
from graftlm_registry.plugins import registry

ASK = RenderOptions(generation_prompt=True)
SAY = RenderOptions()
WITH_TOOLS = tuple(name for name in FILES if name != "mistral-v1")


@dataclass(frozen=True)
class Both:
    """One template with Mistral's tokenizer and ours."""

    name: str
    spec: PromptTemplate
    theirs: MistralTokenizer
    ours: SpanTokenizer

    def our_ids(self, conversation: Conversation, options: RenderOptions = SAY) -> list[int]:
        return self.ours.encode(self.spec.render(conversation, options)).ids

    def their_ids(self, conversation: Conversation) -> list[int]:
        """The request after normalization; the validator would refuse what ends in an answer."""
        request = ChatCompletionRequest(
            messages=[_their_message(m) for m in conversation.messages],
            tools=[Tool(function=Function(**tool["function"])) for tool in conversation.tools] or None,
        )
        normal = self.theirs._instruct_request_normalizer.from_chat_completion_request(request)
        return self.theirs.instruct_tokenizer.encode_instruct(normal).tokens


def _their_message(message: Message):
    if message.role == "system":
        return SystemMessage(content=message.content)
    if message.role == "user":
        return UserMessage(content=message.content)
    if message.role == "tool":
        return ToolMessage(content=message.content, name=message.name, tool_call_id=message.call_id)
    calls = [
        TheirCall(id=c.id, function=FunctionCall(name=c.name, arguments=dict(c.arguments))) for c in message.tool_calls
    ]
    return AssistantMessage(content=message.content or None, tool_calls=calls or None)


@pytest.fixture(scope="module")
def every(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Both]:
    def made() -> Iterator[Both]:
        for name in FILES:
            own = theirs(name, tmp_path_factory.mktemp("tekken"))
            yield Both(name, registry().get(PromptTemplate, name), own, SpanTokenizer(definition(name, own)))

    return {both.name: both for both in made()}


@pytest.fixture(params=FILES)
def both(request: pytest.FixtureRequest, every: dict[str, Both]) -> Both:
    return every[request.param]


def talk(*words: str, system: str | None = None) -> Conversation:
    """The user speaks first, and then in turn with the assistant."""
    turns = [Message("assistant" if i % 2 else "user", said) for i, said in enumerate(words)]
    return Conversation((*([Message("system", system)] if system is not None else []), *turns))


CORPUS = (
    talk("U1"),
    talk("U1", "A1"),
    talk("U1", "A1", "U2", system="S"),
    talk("U1", "A1", "U2", "A2", "U3", "A3", system="You are terse.\n\nVery terse."),
    talk("What is 12345 + 67?", "12412", "Danke schön!", "Gerne, jederzeit."),
    talk("  lead and trail  ", "  lead", "\n\nnew\nlines\n\n", "\nx\n"),
    talk("a\r\nb\tc", "tab\tand\r\n", "   ", "x", system=" S "),
    talk("漢字とかな 🙂👩‍👩‍👧 é\u0301 \u200b\u00a0", "Ünïcödé 🙃", "\x00\x7f", "ok", system="🦊"),
    talk("say [INST] and [/INST] and </s> <s>", "[INST] no [/INST]</s>", "[TOOL_CALLS] [", "[/SYSTEM_PROMPT]"),
    talk("▁ ▁▁", "<0x0A>", "<unk>", "▁x"),
    talk("if x:\n    return  [1,  2]\n", "```python\nprint('hi')\n```"),
)


def test_a_corpus_of_conversations_has_mistral_s_ids(both: Both) -> None:
    for conversation in CORPUS:
        assert both.our_ids(conversation) == both.their_ids(conversation), conversation


@pytest.mark.slow
@pytest.mark.parametrize("name", ["mistral-v3-tekken", "mistral-v7-tekken"])
def test_all_of_tekken_s_entries(name: str, tmp_path: Path) -> None:
    own = theirs(name, tmp_path, ALL_TEKKEN_WORDS)
    both = Both(name, registry().get(PromptTemplate, name), own, SpanTokenizer(definition(name, own)))
    for conversation in CORPUS:
        assert both.our_ids(conversation) == both.their_ids(conversation), conversation


def test_a_generation_prompt_is_what_mistral_s_models_are_asked(both: Both) -> None:
    for conversation in CORPUS:
        asked = conversation.prompt
        assert both.our_ids(asked, ASK) == both.their_ids(asked)


def test_any_words_have_mistral_s_ids(both: Both) -> None:
    """mistral-common drops spaces at the end of an answer, which are an answer's own here, and refuses empty ones."""
    words = st.text(st.characters(codec="utf-8"), min_size=1, max_size=20)
    pieces = st.sampled_from(["[INST]", "[/INST]", "</s>", " ", "\n", "a", "▁", "🙂"])
    said = st.one_of(words, st.lists(pieces, min_size=1, max_size=5).map("".join))
    answer = said.map(lambda text: text.rstrip(" ")).filter(bool)

    @settings(max_examples=80, deadline=None)
    @given(st.one_of(st.none(), said), st.lists(st.tuples(said, answer), min_size=1, max_size=3))
    def same(system: str | None, turns: list[tuple[str, str]]) -> None:
        conversation = talk(*(text for turn in turns for text in turn), system=system)
        assert both.our_ids(conversation) == both.their_ids(conversation)

    same()


def test_the_answers_and_their_ends_are_trained(both: Both) -> None:
    conversation = talk("U1", "A1", "U2", "A2", system="S")
    encoded = both.ours.encode(both.spec.render(conversation, SAY))
    trained = [label for label in encoded.labels if label != IGNORED]
    tokenizer = both.theirs.instruct_tokenizer.tokenizer
    expected = [tokenizer.encode(words, bos=False, eos=True) for words in ("A1", "A2")]
    assert trained == [token for answer in expected for token in answer]


def test_an_empty_system_text_is_none_before_v7(every: dict[str, Both]) -> None:
    """From v7 on it is a turn, in whose text Mistral's Jinja has the space that SentencePiece makes before words."""
    for name in ("mistral-v1", "mistral-v3", "mistral-v3-tekken", "mistral-v7-tekken"):
        conversation = talk("U1", "A1", "U2", system="")
        assert every[name].our_ids(conversation) == every[name].their_ids(conversation)


def test_spaces_at_the_end_of_an_answer_stay(every: dict[str, Both]) -> None:
    """Another difference: mistral-common drops them from v3 on."""
    for name in WITH_TOOLS:
        both = every[name]
        assert both.our_ids(talk("U1", "A1  ")) != both.their_ids(talk("U1", "A1  "))
        assert both.their_ids(talk("U1", "A1  ")) == both.our_ids(talk("U1", "A1"))


WEATHER = {
    "type": "function",
    "function": {
        "name": "weather",
        "description": "The weather in a “city”",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}
CLOCK = {"type": "function", "function": {"name": "clock", "description": "", "parameters": {"type": "object"}}}
ONE, TWO = "abcDEF123", "000000001"
CALL = Message("assistant", "", tool_calls=(ToolCall("weather", {"city": "Zürich", "days": [1, 2.5, None]}, ONE),))
CALLS = Message("assistant", "", tool_calls=(*CALL.tool_calls, ToolCall("clock", {}, TWO)))
U1, U2, A1, S = Message("user", "U1"), Message("user", "U2"), Message("assistant", "A1"), Message("system", "S")


def found(words: str, call: str = ONE) -> Message:
    return Message("tool", words, name="weather", call_id=call)


@pytest.mark.parametrize("name", WITH_TOOLS)
@pytest.mark.parametrize("tools", [(), (WEATHER,), (WEATHER, CLOCK)], ids=len)
def test_tools_have_mistral_s_ids(name: str, tools: tuple, every: dict[str, Both]) -> None:
    both = every[name]
    dialogues = (
        (U1, CALL),
        (S, U1, A1, U2, CALL, found('{"t":  21}'), A1),
        (U1, CALLS, found("warm 🙂"), found("[1, 2]", TWO), Message("assistant", "It is warm.")),
        (U1, CALL, found("21"), A1, U2, CALL, found(""), A1),
    )
    for messages in dialogues:
        conversation = Conversation(messages, tools=tools)
        assert both.our_ids(conversation) == both.their_ids(conversation), messages


@pytest.mark.parametrize("name", ["mistral-v7", "mistral-v7-tekken"])
def test_v7_says_something_and_calls(name: str, every: dict[str, Both]) -> None:
    both = every[name]
    conversation = Conversation((U1, Message("assistant", "Let me see.", tool_calls=CALL.tool_calls)))
    assert both.our_ids(conversation) == both.their_ids(conversation)


def test_what_the_templates_refuse() -> None:
    spec = registry().get(PromptTemplate, "mistral-v3")
    both = Message("assistant", "Let me see.", tool_calls=CALL.tool_calls)
    with pytest.raises(DataError, match="make it two turns"):
        spec.render(Conversation((U1, both)), SAY)
    nameless = Message("assistant", "", tool_calls=(ToolCall("weather", {}, "call_1"),))
    with pytest.raises(DataError, match=r"9 letters or digits.*'weather'.*'call_1'"):
        spec.render(Conversation((U1, nameless)), SAY)
