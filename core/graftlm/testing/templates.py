"""What is asked of a prompt template."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

from graftlm.contracts.conversation import Conversation, Message, RenderOptions, Span
from graftlm.contracts.specs import PromptTemplate
from graftlm_registry.plugins import registry

PLAIN = RenderOptions()
SYSTEM, FIRST, SECOND = Message("system", "S"), Message("user", "U1"), Message("user", "U2")
CORPUS = (
    (FIRST,),
    (FIRST, Message("assistant", "A1")),
    (SYSTEM, FIRST, Message("assistant", "A1"), SECOND, Message("assistant", "A2")),
    (FIRST, Message("assistant", "A1", train=False), SECOND, Message("assistant", "A2")),
    (Message("user", "two\n\nlines\r\n"), Message("assistant", "\nan answer that starts with a new line\n\n")),
)


class TemplateSuite:
    """Subclass, name the template, and give its golden texts and a tokenizer's folder."""

    template: ClassVar[str]
    tokenizer: ClassVar[Path]
    """The folder of a tokenizer of the family."""
    goldens: ClassVar[tuple[tuple[tuple[Message, ...], RenderOptions, str], ...]]
    """Messages, options, and exactly the text that they are rendered into."""

    @property
    def spec(self) -> PromptTemplate:
        return registry().get(PromptTemplate, self.template)

    def render(self, messages: Sequence[Message], options: RenderOptions = PLAIN) -> Sequence[Span]:
        return self.spec.render(Conversation(tuple(messages)), options)

    def test_golden_texts(self) -> None:
        for messages, options, text in self.goldens:
            assert "".join(span.text for span in self.render(messages, options)) == text

    def test_only_declared_control_tokens(self) -> None:
        for messages in CORPUS:
            for prompt in (False, True):
                used = {
                    s.text
                    for s in self.render(messages, RenderOptions(generation_prompt=prompt))
                    if s.kind == "control"
                }
                assert used <= set(self.spec.control_tokens)

    def test_trained_text_is_the_answers_and_their_ends(self) -> None:
        """What stands between answers, and an answer that says ``train: false``, teaches nothing."""
        for messages in CORPUS:
            spans = self.render(messages)
            trained = "".join(s.text for s in spans if s.trained)
            answers = [m for m in messages if m.role == "assistant" and m.train is not False]
            assert trained.count(self.spec.end_token) == len(answers)
            assert [part.strip() for part in trained.split(self.spec.end_token)[:-1]] == [
                m.content.strip() for m in answers
            ]
            assert all(span.answer for span in spans if span.trained)

    def test_an_answer_continues_its_generation_prompt(self) -> None:
        """What training puts before an answer is what the model sees at inference, to the byte."""
        for messages in CORPUS:
            if messages[-1].role == "assistant":
                spans = list(self.render(messages))
                first = max(i for i, s in enumerate(spans) if s.answer and (i == 0 or not spans[i - 1].answer))
                before = "".join(s.text for s in spans[:first])
                prompt = self.render(messages[:-1], RenderOptions(generation_prompt=True))
                assert "".join(s.text for s in prompt) == before

    def test_a_generation_prompt_holds_no_open_answer(self) -> None:
        for messages in CORPUS:
            if messages[-1].role == "user":
                assert not self.render(messages, RenderOptions(generation_prompt=True))[-1].answer

    def test_stop_tokens_hold_the_end_token(self) -> None:
        assert self.spec.end_token in self.spec.stop_tokens

    def test_the_tokenizer_has_the_control_tokens(self) -> None:
        from graftlm.worker.tokenizing import SpanTokenizer

        tokenizer = SpanTokenizer.from_folder(self.tokenizer)
        assert all(tokenizer.has(token) for token in self.spec.control_tokens)

    def test_content_never_becomes_a_control_token(self) -> None:
        from graftlm.worker.tokenizing import SpanTokenizer

        tokenizer = SpanTokenizer.from_folder(self.tokenizer)
        control = {tokenizer.control_id(token) for token in self.spec.control_tokens}
        for token in self.spec.control_tokens:
            for words in (token, f"x{token}y", f"{token}{token}", token[:-1]):
                plain = tokenizer.encode(self.render((Message("user", "x"), Message("assistant", "y")))).ids
                typed = tokenizer.encode(self.render((Message("user", words), Message("assistant", words)))).ids
                assert sum(i in control for i in typed) == sum(i in control for i in plain)
