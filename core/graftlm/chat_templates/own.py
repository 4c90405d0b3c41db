"""A model's own chat template, read from its folder and rendered in the child."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path
from types import TracebackType
from typing import Any

from graftlm.contracts.errors import DataError, GraftlmError, ModelError
from graftlm.contracts.template_model import Rendered, RenderRequest

from .limits import LONGEST, MEMORY, PATIENCE, SECONDS
from .renderer import Renderer, Stopped
from .small_files import read_small_files

TOGETHER = 64
"""Renderings of a request, at most."""
WORDS = 1 << 20
"""Characters of a request's messages, about, at most."""


ABOUT_THESE = ("refused", "failed", "long", "syntax", "security")
"""Errors that say something of the messages, or of the source; after any other the rest of a request is not tried."""


class OwnTemplate:
    """A ``TemplateModel``. It starts one child when something is first rendered, and ends it when it is closed, or when
    nothing refers to it any more.

    ``special_tokens`` are variables of every rendering, as transformers has it. ``tool_template`` is rendered where
    tools are given; empty where ``chat_template`` serves there too. ``today`` is what it tells a template that asks for
    the date, for as long as it lives.
    """

    def __init__(
        self,
        chat_template: str,
        *,
        tool_template: str = "",
        special_tokens: Mapping[str, str] | None = None,
        added_tokens: frozenset[str] = frozenset(),
        name: str = "this model",
        today: date | None = None,
    ) -> None:
        self.chat_template = chat_template
        self.tool_template = tool_template
        self.special_tokens = dict(special_tokens or {})
        self.added_tokens = added_tokens
        self.name = name
        self.today = today or date.today()
        self.bos_token = self.special_tokens.get("bos_token", "")
        self.eos_token = self.special_tokens.get("eos_token", "")
        self._renderer = Renderer()

    @classmethod
    def from_folder(cls, folder: Path, name: str = "", *, today: date | None = None) -> OwnTemplate:
        """Reads the small files of a model's folder; ``ModelError`` where one of them is broken. ``name`` is what
        messages call the model.
        """
        files = read_small_files(folder)
        return cls(
            files.chat_template,
            tool_template=files.tool_template,
            special_tokens=files.special_tokens,
            added_tokens=files.added_tokens,
            name=name or folder.name,
            today=today,
        )

    @property
    def asks_for_the_date(self) -> bool:
        return any("strftime_now" in source for source in (self.chat_template, self.tool_template))

    def dated(self, day: date) -> OwnTemplate:
        """The same template on another day; it shares the child. Itself where the day makes no difference."""
        if day == self.today or not self.asks_for_the_date:
            return self
        other = copy.copy(self)
        other.today = day
        return other

    def render(
        self, messages: Sequence[Mapping[str, Any]], tools: Sequence[Mapping[str, Any]] = (), **variables: Any
    ) -> Rendered:
        """See ``TemplateModel``."""
        done = self.render_many([RenderRequest(messages, tools, variables)])[0]
        if isinstance(done, GraftlmError):
            raise done
        return done

    def render_many(self, asked: Sequence[RenderRequest]) -> list[Rendered | GraftlmError]:
        """See ``TemplateModel``. What runs over its limits takes those down that were sent after it in one request."""
        if not self.chat_template:
            return [self._lacking() for _ in asked]
        return [self._result(answer) for answer in self._answers_to(asked)]

    def render_all(self, asked: Sequence[RenderRequest]) -> list[Rendered | GraftlmError]:
        """The same where each was tried; ``ModelError`` where one ran over its limits, or there is no template."""
        if not self.chat_template:
            raise self._lacking()
        answers = self._answers_to(asked)
        for answer in answers:
            if answer.get("error", ABOUT_THESE[0]) not in ABOUT_THESE:
                raise self._problem(answer["error"], answer["words"])
        return [self._result(answer) for answer in answers]

    def _answers_to(self, asked: Sequence[RenderRequest]) -> list[dict[str, Any]]:
        done: list[dict[str, Any]] = []
        batch: list[dict[str, Any]] = []
        length = 0
        for one in asked:
            words = sum(len(str(message.get("content", ""))) for message in one.messages)
            if batch and (len(batch) == TOGETHER or length + words > WORDS):
                done += self._answers(batch)
                batch, length = [], 0
            batch.append(self._rendering(one))
            length += words
        return done + self._answers(batch)

    def close(self) -> None:
        """End the child; a later rendering starts another."""
        self._renderer.close()

    def __enter__(self) -> OwnTemplate:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _rendering(self, asked: RenderRequest) -> dict[str, Any]:
        messages = [{k: v for k, v in m.items() if v is not None} for m in asked.messages]
        variables = {
            "messages": messages,
            "tools": list(asked.tools) or None,
            "documents": None,
            "add_generation_prompt": False,
            **self.special_tokens,
            **asked.variables,
        }
        return {"source": int(bool(asked.tools and self.tool_template)), "variables": variables}

    def _answers(self, batch: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
        answers: list[dict[str, Any]] = []
        late = -1
        while len(answers) < len(batch):
            left = batch[len(answers) :]
            try:
                answers += self._renderer.ask((self.chat_template, self.tool_template), left, self.today.isoformat())
            except Stopped as stopped:
                answers += stopped.answers
                if stopped.kind == "late" and late != len(answers):
                    late = len(answers)  # the machine may have been busy: it is asked for once more
                else:
                    answers += [{"error": stopped.kind, "words": stopped.words}] * (len(batch) - len(answers))
        return answers

    def _result(self, answer: Mapping[str, Any]) -> Rendered | GraftlmError:
        if "error" in answer:
            return self._problem(answer["error"], answer["words"])
        return Rendered(answer["text"], tuple((begin, end) for begin, end in answer["generated"]))

    def _lacking(self) -> ModelError:
        return ModelError(f"{self.name} has no chat template of its own: choose one with --template")

    def _problem(self, kind: str, words: str) -> GraftlmError:
        """A sentence; what the template says is shown without anything that a terminal would obey."""
        whose = f"{self.name}'s chat template"
        said = "".join(c if c.isprintable() else " " for c in words).strip()
        if kind == "refused":
            return DataError(f"{whose} refuses this conversation: {said or 'it does not say why'}")
        what = {
            "syntax": f"is not valid Jinja: {said}",
            "security": f"does what no template may do: {said}",
            "memory": f"needs more than {MEMORY >> 30} GiB of memory, and was stopped",
            "long": f"writes more than {LONGEST:,} characters, and was stopped",
            "slow": f"takes more than {SECONDS} seconds of computing, and was stopped",
            "late": f"gave no answer in {PATIENCE:.0f} seconds, twice, and was stopped",
            "failed": f"fails on this conversation: {said}",
        }.get(kind, f"broke the process that renders it ({said})")
        return ModelError(f"{whose} {what}; --template names another")
