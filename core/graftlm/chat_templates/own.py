"""A model's own chat template, read from its folder and rendered in the child."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import Any, NamedTuple

from graftlm.contracts.errors import DataError, GraftlmError, ModelError
from graftlm.contracts.template_model import Rendered

from .limits import LONGEST, MEMORY, PATIENCE, SECONDS
from .renderer import Renderer, Stopped
from .small_files import read_small_files

TOGETHER = 64
"""Renderings of a request, at most."""
WORDS = 1 << 20
"""Characters of a request's messages, about, at most."""


class Asked(NamedTuple):
    """One rendering that is wanted: messages and tools as OpenAI writes them, and further variables."""

    messages: Sequence[Mapping[str, Any]]
    tools: Sequence[Mapping[str, Any]] = ()
    variables: Mapping[str, Any] = MappingProxyType({})


Plain = tuple[Sequence[Mapping[str, Any]], Sequence[Mapping[str, Any]], Mapping[str, Any]]
"""The same, for those who do not import this module."""


class OwnTemplate:
    """A ``TemplateModel``. It starts one child when something is first rendered, and ends it when it is closed.

    ``special_tokens`` are variables of every rendering, as transformers has it. ``tool_template`` is rendered where
    tools are given; empty where ``chat_template`` serves there too.
    """

    def __init__(
        self,
        chat_template: str,
        *,
        tool_template: str = "",
        special_tokens: Mapping[str, str] | None = None,
        added_tokens: frozenset[str] = frozenset(),
        name: str = "this model",
    ) -> None:
        self.chat_template = chat_template
        self.tool_template = tool_template
        self.special_tokens = dict(special_tokens or {})
        self.added_tokens = added_tokens
        self.name = name
        self.bos_token = self.special_tokens.get("bos_token", "")
        self.eos_token = self.special_tokens.get("eos_token", "")
        self._renderer = Renderer()

    @classmethod
    def from_folder(cls, folder: Path, name: str = "") -> OwnTemplate:
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
        )

    def render(
        self, messages: Sequence[Mapping[str, Any]], tools: Sequence[Mapping[str, Any]] = (), **variables: Any
    ) -> Rendered:
        """See ``TemplateModel``."""
        done = self.render_many([Asked(messages, tools, variables)])[0]
        if isinstance(done, GraftlmError):
            raise done
        return done

    def render_many(self, asked: Sequence[Asked | Plain]) -> list[Rendered | GraftlmError]:
        """Many renderings in few round trips: for each, its text, or what ``render`` would raise.

        What runs over the limits of time takes those down that were sent with it.
        """
        if not self.chat_template:
            return [self._lacking() for _ in asked]
        done: list[Rendered | GraftlmError] = []
        batch: list[dict[str, Any]] = []
        length = 0
        for one in asked:
            rendering = self._rendering(Asked(*one))
            words = sum(len(str(message.get("content", ""))) for message in one[0])
            if batch and (len(batch) == TOGETHER or length + words > WORDS):
                done += self._answers(batch)
                batch, length = [], 0
            batch.append(rendering)
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

    def _rendering(self, asked: Asked) -> dict[str, Any]:
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

    def _answers(self, batch: Sequence[Mapping[str, Any]]) -> list[Rendered | GraftlmError]:
        if not batch:
            return []
        try:
            answers = self._renderer.ask((self.chat_template, self.tool_template), batch)
        except Stopped as stopped:
            answers = [{"error": stopped.kind, "words": stopped.words}]
        answers += answers[-1:] * (len(batch) - len(answers))
        return [
            self._problem(answer["error"], answer["words"])
            if "error" in answer
            else Rendered(answer["text"], tuple((begin, end) for begin, end in answer["generated"]))
            for answer in answers
        ]

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
            "slow": f"takes more than {SECONDS} seconds of computing, or {PATIENCE:.0f} by the clock, and was stopped",
            "failed": f"fails on this conversation: {said}",
        }.get(kind, f"broke the process that renders it ({said})")
        return ModelError(f"{whose} {what}; --template names another")
