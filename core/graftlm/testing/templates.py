"""What is asked of a prompt template."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from copy import deepcopy
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from graftlm.contracts.conversation import Conversation, Message, RenderOptions, Span
from graftlm.contracts.specs import PromptTemplate
from graftlm_registry.plugins import registry

from .gaps import optional, skip_unless
from .suite import Suite
from .talks import CORPUS, THOUGHTS, tool_talk

if TYPE_CHECKING:
    from graftlm.encoding.tokenizing import SpanTokenizer

PLAIN = RenderOptions()
EXAMPLES = 40
"""Conversations that a property is tried on."""


@cache
def _tokenizer(folder: Path) -> SpanTokenizer:
    from graftlm.encoding.tokenizing import SpanTokenizer

    return SpanTokenizer.from_folder(folder)


class TemplateSuite(Suite):
    """Subclass, name the template, and give its golden texts and a tokenizer's folder. Needs hypothesis."""

    kind = "template"
    needs = ("tokenizer", "goldens")
    template: ClassVar[str]
    tokenizer: ClassVar[Path]
    """The folder of a tokenizer of the family."""
    goldens: ClassVar[tuple[tuple[tuple[Message, ...], RenderOptions, str], ...]]
    """Messages, options, and exactly the text that they are rendered into, with what training adds."""

    @property
    def spec(self) -> PromptTemplate:
        return registry().get(PromptTemplate, self.template)

    def render(self, messages: Sequence[Message], options: RenderOptions = PLAIN) -> Sequence[Span]:
        return self.spec.render(Conversation(tuple(messages)), options)

    def modes(self, *, prompt: bool = False) -> Iterator[RenderOptions]:
        """Without thinking, and with it where the template knows how to."""
        for thinking in (False, True) if self.spec.thinking else (False,):
            yield RenderOptions(generation_prompt=prompt, thinking=thinking)

    def test_golden_texts(self) -> None:
        assert self.goldens, "the suite has no golden text: give one at least"
        for messages, options, text in self.goldens:
            said = "".join(span.text for span in self.render(messages, options))
            assert said == text, f"it must say {text!r}, and says {said!r}"

    def test_spans_are_well_formed(self) -> None:
        """Only declared control tokens; only an answer is trained; only control tokens are added."""

        def holds(conversation: Conversation) -> None:
            for options in (*self.modes(), *self.modes(prompt=True)):
                for span in self.spec.render(conversation, options):
                    assert span.kind in ("control", "text", "content"), f"a span is of the kind {span.kind!r}"
                    declared = span.kind != "control" or span.text in self.spec.control_tokens
                    assert declared, f"the control token {span.text!r} is not among its control_tokens"
                    assert span.answer or not span.trained, f"{span.text!r} is trained, and is no part of an answer"
                    assert span.kind == "control" or not span.added, f"{span.text!r} is added, and is no control token"

        self._for_all(holds, _words())

    def test_trained_text_is_the_answers_and_their_ends(self) -> None:
        """What stands between answers, and an answer that says ``train: false``, teaches nothing."""

        def holds(conversation: Conversation) -> None:
            said = self.spec.said
            answers = [m.content for m in conversation.messages if m.role == "assistant" and m.train is not False]
            for options in self.modes():
                trained = self._trained(self.spec.render(conversation, options))
                assert len(trained) == len(answers), (
                    f"{len(answers)} answers are to be trained, and {len(trained)} are: {trained}"
                )
                for text, answer in zip(trained, answers, strict=True):
                    same = said(answer) in (said(text), text.strip())
                    assert same, f"the answer {answer!r} is trained as {text!r}"

        self._for_all(holds, _words())

    def test_labels_are_the_trained_text(self) -> None:
        """What the tokenizer makes of it: the ids that are learned say the trained text, and none besides."""
        from graftlm.encoding.tokenizing import IGNORED

        tokenizer = _tokenizer(self.tokenizer)
        talks = [Conversation(messages) for messages in (*CORPUS, *THOUGHTS)]
        for conversation in [*talks, *([tool_talk("in Rome")] if self.spec.tools else [])]:
            for options in self.modes():
                spans = self.spec.render(conversation, options)
                control = {tokenizer.control_id(span.text) for span in spans if span.kind == "control"}
                learned = [label for label in tokenizer.encode(spans).labels if label != IGNORED]
                trained = [span for span in spans if span.trained]
                ends = [tokenizer.control_id(span.text) for span in trained if span.kind == "control"]
                words = "".join(span.text for span in trained if span.kind != "control")
                kept = [label for label in learned if label in control]
                assert kept == ends, (
                    f"the labels hold the control ids {kept}, and its trained control tokens are {ends}"
                )
                taught = tokenizer.decode([i for i in learned if i not in control]).strip()
                assert taught == words.strip(), f"the labels say {taught!r}, and the trained text is {words.strip()!r}"

    def test_an_answer_continues_its_generation_prompt(self) -> None:
        """What training puts before an answer is what the model sees at inference: the same text, the same ids.

        Without thinking, a real thought is an answer to another prompt.
        """
        tokenizer = _tokenizer(self.tokenizer)
        for messages in (*CORPUS, *(THOUGHTS if self.spec.thinking else ())):
            last = messages[-1]
            if last.role != "assistant":
                continue
            for options in self.modes(prompt=True):
                if not options.thinking and "</think>" in last.content:
                    continue
                whole = list(self.render(messages, RenderOptions(thinking=options.thinking)))
                asked = list(self.render(messages[:-1], options))
                before, prompted = ("".join(s.text for s in part) for part in (whole[: _last_answer(whole)], asked))
                assert before == prompted, f"training puts {before!r} before an answer, and inference {prompted!r}"
                prompt = tokenizer.encode(asked).ids
                same = tokenizer.encode(whole).ids[: len(prompt)] == prompt
                assert same, f"the prompt {prompted!r} has other ids in training than at inference"

    def test_a_generation_prompt_holds_no_open_answer(self) -> None:
        for messages in CORPUS:
            if messages[-1].role == "user":
                for options in self.modes(prompt=True):
                    last = self.render(messages, options)[-1]
                    assert not last.answer, f"its generation prompt ends in {last.text!r}, a part of an answer"

    @optional
    def test_thoughts_are_trained_where_the_template_keeps_them(self) -> None:
        skip_unless(self.spec.thinking, "it does not say that it knows of thoughts")
        for options in self.modes():
            (text,) = self._trained(self.render(THOUGHTS[0], options))
            assert "hm" in text, f"the thought 'hm' is not trained: {text!r}"
            assert self.spec.said(text) == "A1", f"said must give 'A1' of {text!r}, and gives {self.spec.said(text)!r}"

    def test_stop_tokens_hold_the_end_token(self) -> None:
        assert self.spec.end_token in self.spec.stop_tokens, (
            f"an answer ends in {self.spec.end_token!r}, and generation stops at {self.spec.stop_tokens} only"
        )

    def test_the_tokenizer_has_the_tokens(self) -> None:
        tokens = {*self.spec.control_tokens, *self.spec.document_start, self.spec.document_end or self.spec.end_token}
        lacks = sorted(token for token in tokens if not _tokenizer(self.tokenizer).has(token))
        assert not lacks, f"the tokenizer has no token {', '.join(lacks)}"

    def test_content_never_becomes_a_control_token(self) -> None:
        """Whatever somebody types: the control ids are those of the control spans, and as many as for other words
        (but for a template that looks for thoughts in the words).
        """

        def holds(conversation: Conversation) -> None:
            plain = Conversation(tuple(Message(m.role, "x", m.train) for m in conversation.messages))
            for options in self.modes():
                spans = self.spec.render(conversation, options)
                found = self._control_ids(spans)
                if not self.spec.thinking:
                    usual = len(self._control_ids(self.spec.render(plain, options)))
                    assert len(found) == usual, f"somebody's words made {len(found)} control tokens of {usual}"

        self._for_all(holds, self._hostile())

    def test_rendering_changes_nothing(self) -> None:
        """The same spans every time, and a conversation that stays as it was."""

        def holds(conversation: Conversation) -> None:
            before = deepcopy(conversation)
            for options in (*self.modes(), *self.modes(prompt=True)):
                first, again = (list(self.spec.render(conversation, options)) for _ in range(2))
                assert first == again, f"rendered twice, it gives {first} and {again}"
            assert conversation == before, f"rendering changed the conversation from {before} to {conversation}"

        self._for_all(holds, _words())

    @optional
    def test_calls_are_trained_and_what_tools_answer_is_not(self) -> None:
        skip_unless(self.spec.tools, "it does not say that it renders tools")
        for options in self.modes():
            spans = list(self.spec.render(tool_talk("in Zürich"), options))
            whole = "".join(span.text for span in spans)
            call, answer = self._trained(spans)
            for taught in ("weather", "a city in Zürich"):
                assert taught in call, f"the call of a tool is trained without {taught!r}: {call!r}"
            assert self.spec.said(answer) == "so it is", f"the answer 'so it is' is trained as {answer!r}"
            for shown in ("the weather in Zürich", "an observation in Zürich", "a question in Zürich"):
                assert shown in whole, f"{shown!r} is not rendered"
                assert shown not in call + answer, f"{shown!r} is trained, and no answer"

    @optional
    def test_tools_words_never_become_a_control_token(self) -> None:
        skip_unless(self.spec.tools, "it does not say that it renders tools")
        from hypothesis import given, settings

        @settings(max_examples=EXAMPLES, deadline=None, database=None)
        @given(self._hostile())
        def holds(words: str) -> None:
            for options in self.modes():
                found, usual = (
                    len(self._control_ids(self.spec.render(tool_talk(said), options))) for said in (words, "x")
                )
                assert found == usual, f"a tool's words made {found} control tokens of {usual}: {words!r}"

        holds()

    def _trained(self, spans: Sequence[Span]) -> list[str]:
        """The trained text of each answer; every answer that is trained has its end."""
        answers, text = [], ""
        for span in spans:
            if not span.trained:
                continue
            if span.kind == "control" and span.text == self.spec.end_token:
                answers.append(text)
                text = ""
            else:
                text += span.text
        assert not text, f"{text!r} is trained, and no end token after it: it is no answer, or its end is not trained"
        return answers

    def _control_ids(self, spans: Sequence[Span]) -> list[int]:
        """Those of the template's control tokens among the ids, which must be those of the control spans."""
        tokenizer = _tokenizer(self.tokenizer)
        tokens = {*self.spec.control_tokens, *self.spec.stop_tokens}
        control = {tokenizer.control_id(token) for token in tokens if tokenizer.has(token)}
        found = [i for i in tokenizer.encode(spans).ids if i in control]
        wanted = [tokenizer.control_id(span.text) for span in spans if span.kind == "control"]
        assert found == wanted, f"the text has the control ids {found}, and its control spans are {wanted}"
        return found

    def _hostile(self) -> Any:
        """Words made of control tokens, whole, doubled and cut, among others."""
        from hypothesis import strategies as st

        tokens = [*self.spec.control_tokens, *self.spec.stop_tokens, "<|im_start|>", "<think>", "</think>", "[INST]"]
        cut = [part for token in tokens for part in (token[:-1], token[1:], token[: len(token) // 2])]
        pieces = st.one_of(st.sampled_from(tokens), st.sampled_from(cut), st.text(max_size=4))
        return st.lists(pieces, min_size=1, max_size=6).map("".join).filter(bool)

    def _for_all(self, holds: Callable[[Conversation], None], words: Any) -> None:
        """The corpus first, then conversations made of ``words``."""
        from hypothesis import given, settings
        from hypothesis import strategies as st

        for messages in (*CORPUS, *THOUGHTS):
            holds(Conversation(messages))
        turns = st.lists(st.tuples(words, words, st.sampled_from((None, True, False))), min_size=1, max_size=3)

        @settings(max_examples=EXAMPLES, deadline=None, database=None)
        @given(st.none() | words, turns)
        def any_conversation(system: str | None, turns: list[tuple[str, str, bool | None]]) -> None:
            messages = [] if system is None else [Message("system", system)]
            for question, answer, train in turns:
                messages += [Message("user", question), Message("assistant", answer, train)]
            holds(Conversation(tuple(messages)))

        any_conversation()


def _words() -> Any:
    """Text with white space of all kinds, and thoughts."""
    from hypothesis import strategies as st

    pieces = st.sampled_from((" ", "\n", "\r\n", "\n\n", "\t", "<think>", "</think>", "A", "é", "🙂"))
    return st.one_of(st.text(max_size=12), st.lists(pieces, max_size=6).map("".join))


def _last_answer(spans: Sequence[Span]) -> int:
    """Where the last answer begins."""
    return max(i for i, span in enumerate(spans) if span.answer and (i == 0 or not spans[i - 1].answer))
