"""A conversation with whoever answers on one base: its turns, and what was asked and answered."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import click

from .terminal import visible

if TYPE_CHECKING:
    from types import FrameType

    from graftlm.contracts.conversation import Conversation, Message
    from graftlm.contracts.serving import Sampling
    from graftlm.running.one_base import OneBase
    from graftlm.running.session import Session


@dataclass
class Chat:
    """``who`` answers (empty is the bare base); ``loaded`` are the adapters that can without being loaded."""

    base: OneBase
    session: Session
    max_new_tokens: int
    sampling: Sampling
    system: str = ""
    turns: list[Message] = field(default_factory=list)
    who: str = ""
    loaded: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.loaded = list(self.base.references)
        self.who = self.base.who or (self.loaded[0] if self.loaded else "")

    @property
    def name(self) -> str:
        """Of who answers, as it is shown."""
        return self.shown(self.who)

    def shown(self, who: str) -> str:
        return who or self.base.name

    def ask(self, question: str) -> bool:
        """Print the answer as it comes, and keep both turns; where there is none, neither. Whether there was one."""
        from graftlm.contracts.conversation import Message

        answer, swap = self._answered([*self.turns, Message("user", question)])
        if not answer["fits"]:
            raise self._too_long(answer)
        if dropped := answer["dropped"]:
            self._forget(dropped)
        if answer["stopped"] and not answer["tokens"]:
            return False
        self.turns = [*self.turns, Message("user", question), Message("assistant", answer["said"])]
        note(timing(answer, swap, self.max_new_tokens))
        return True

    def retry(self) -> None:
        from graftlm.contracts.errors import UsageError

        if not self.turns:
            raise UsageError("there is no question yet")
        before, question = self.turns, self.turns[-2].content
        self.turns, answered = before[:-2], False
        try:
            answered = self.ask(question)
        finally:
            if not answered:
                self.turns = before

    def compare(self, question: str) -> tuple[dict[str, Mapping[str, Any]], Mapping[str, Any]]:
        """What all loaded adapters and the base answer, by name, and what that took. The conversation stays."""
        from graftlm.contracts.conversation import Message
        from graftlm.contracts.errors import UsageError

        if not question and not self.turns:
            raise UsageError("there is no question yet: say /compare TEXT")
        asked = [*self.turns, Message("user", question)] if question else self.turns[:-1]
        who = [*self.loaded, ""]
        found: dict[str, Mapping[str, Any]] = {}
        last: Mapping[str, Any] = {}
        for event in self._events(asked, who, stream=False):
            if event["event"] == "answer":
                found[self.shown(event["who"])] = event
            last = event
        return {name: found[name] for name in map(self.shown, who) if name in found}, last

    def _answered(self, turns: Sequence[Message]) -> tuple[Mapping[str, Any], float | None]:
        answer: Mapping[str, Any] = {}
        swap: float | None = None
        spoke = False
        try:
            for event in self._events(turns, [self.who], stream=True):
                if event["event"] == "delta":
                    spoke = True
                    click.echo(visible(event["text"]), nl=False)
                elif event["event"] == "swapped":
                    swap = event["seconds"]
                elif event["event"] == "answer":
                    answer = event
        finally:
            if spoke:
                click.echo()
        if answer and answer["fits"] and not spoke:  # whoever reads them in a pipe needs a line an answer
            note("(an empty answer)") if sys.stdout.isatty() else click.echo()
        return answer or {"fits": True, "dropped": 0, "stopped": True, "tokens": 0}, swap

    def _events(self, turns: Sequence[Message], who: Sequence[str], stream: bool) -> Iterator[Mapping[str, Any]]:
        from graftlm.contracts.serving import Ask

        conversation = self.conversation(turns)
        asks = [Ask(who=each, conversation=conversation) for each in who]
        self.sampling, sampling = replace(self.sampling, seed=self.sampling.seed + 1), self.sampling
        with stopping(self.session):
            yield from self.session.answer(asks, self.max_new_tokens, sampling, stream=stream, fit=True)

    def conversation(self, turns: Sequence[Message]) -> Conversation:
        from graftlm.contracts.conversation import Conversation, Message

        system = (Message("system", self.system),) if self.system else ()
        return Conversation((*system, *turns))

    def _forget(self, dropped: int) -> None:
        """The oldest questions with their answers, as the worker left them out."""
        self.turns = self.turns[2 * dropped :]
        what = "question and its answer are" if dropped == 1 else f"{dropped} questions and their answers are"
        positions = f"the {self.session.positions:,} positions of {self.base.name}"
        note(f"The conversation is longer than {positions}: the oldest {what} left out from here on.")

    def _too_long(self, answer: Mapping[str, Any]) -> Exception:
        from graftlm.contracts.errors import UsageError

        return UsageError(
            f"that is {answer['prompt_tokens']:,} tokens, and {self.base.name} has {self.session.positions:,} positions"
        )


def timing(answer: Mapping[str, Any], swap: float | None, longest: int) -> str:
    """One line on what an answer took."""
    tokens, seconds = answer["tokens"], answer["seconds"]
    parts = [f"{tokens:,} token{'' if tokens == 1 else 's'}"]
    if tokens > 1 and seconds:
        parts.append(f"{tokens / seconds:,.0f} tokens/s")
    parts.append(f"first after {answer['first'] * 1000:,.0f} ms")
    if swap is not None:
        parts.append(f"swap {swap * 1000:,.1f} ms")
    if answer["stopped"]:
        parts.append("stopped")
    elif not answer["ended"]:
        parts.append("cut off by --max-new-tokens" if tokens >= longest else "cut off: the model has no more positions")
    return ", ".join(parts)


def note(text: str) -> None:
    """Beside the conversation, so that a pipe gets the answers alone."""
    click.secho(visible(text), err=True, dim=True)


@contextmanager
def stopping(session: Session) -> Iterator[None]:
    """Ctrl-C stops the answer; a second one, the chat."""
    asked = False

    def on_interrupt(number: int, frame: FrameType | None) -> None:
        nonlocal asked
        if asked:
            raise KeyboardInterrupt
        asked = True
        session.stop()

    before = signal.getsignal(signal.SIGINT)
    if before is signal.SIG_IGN:  # as a shell's job in the background has it
        yield
        return
    signal.signal(signal.SIGINT, on_interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
