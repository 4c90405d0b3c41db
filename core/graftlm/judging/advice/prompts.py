"""How many tokens a prompt takes, and whether it fits the model: counted in this process, without the model."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from graftlm.chat_templates.binding import bound, own_template
from graftlm.contracts.conversation import Conversation, RenderOptions
from graftlm.contracts.model import ModelDescription
from graftlm.contracts.specs import PromptTemplate
from graftlm.encoding.rendering import render
from graftlm.encoding.tokenizing import SpanTokenizer
from graftlm.planning import base_model
from graftlm.planning.rope import context
from graftlm_registry.plugins import Registry

from ..subjects import Subject

SPARE = 2
"""Tokens of an answer beside its words: a space before it, and its end."""


@dataclass(frozen=True, slots=True)
class Prompts:
    """``positions`` is None where the model does not say how many it has."""

    template: PromptTemplate
    tokenizer: SpanTokenizer
    positions: int | None
    thinking: bool

    def lengths(self, rows: Sequence[Conversation]) -> list[int]:
        """Tokens of each prompt, up to where the answer begins."""
        options = RenderOptions(generation_prompt=True, thinking=self.thinking)
        return [len(self.tokenizer.encode(self.template.render(row.prompt, options)).ids) for row in rows]

    def answers(self, rows: Sequence[Conversation]) -> list[int]:
        """Tokens of each right answer, with room for what stands around it."""
        return [len(self.tokenizer.words(self.template.said(row.answer))) + SPARE for row in rows]

    def whole(self, rows: Sequence[Conversation]) -> list[int]:
        """Tokens of each row as it is trained on."""
        options = RenderOptions(thinking=self.thinking)
        return [len(self.tokenizer.encode(render(self.template, row, options)).ids) for row in rows]

    def problem(self, longest: int, answer: int) -> str:
        """Why prompts do not fit; empty where they do."""
        if self.positions is None or longest + answer <= self.positions:
            return ""
        return f"does not fit {self.positions:,} positions"


@contextmanager
def prompts_of(subject: Subject, registry: Registry) -> Iterator[Prompts]:
    """Of a base model, as the worker will prompt it."""
    plan = subject.plan
    folder = Path(plan.model.folder)
    with own_template(folder, plan.template.today) as own:
        yield Prompts(
            bound(registry.get(PromptTemplate, plan.template.name), own),
            SpanTokenizer.from_folder(folder),
            _positions(subject, registry),
            subject.encoding.thinking,
        )


def _positions(subject: Subject, registry: Registry) -> int | None:
    plan = subject.plan
    if plan.load.rope is not None:
        return plan.load.rope.context
    asked = base_model.request(
        plan.model.reference, plan.model.revision, bool(plan.settings.get("offline")), plan.load.trust_remote_code
    )
    description: ModelDescription = base_model.describe(asked, registry)[1]
    return context(plan.model.facts, description)
