"""Mistral's instruction formats, from v1 (Mistral-7B-Instruct-v0.1 and v0.2) to v7 (Mistral Large 2411, Small 2501)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from graftlm.api import (
    Conversation,
    Message,
    PromptTemplate,
    RenderOptions,
    Span,
    answer,
    content,
    control,
    hookimpl,
    text,
)

from .mistral_tools import CALLS, RESULT_CONTENT, RESULTS, TOOLS, called, offered, result
from .no_tools import without_tools

if TYPE_CHECKING:
    from graftlm.api import TemplateModel

BOS, EOS = "<s>", "</s>"
INST, SYSTEM = ("[INST]", "[/INST]"), ("[SYSTEM_PROMPT]", "[/SYSTEM_PROMPT]")
TOOL_TOKENS = (*TOOLS, CALLS, *RESULTS)


@without_tools
def render_v1(conversation: Conversation, options: RenderOptions) -> list[Span]:
    """``<s> [INST] S\\n\\nU1 [/INST] A1</s> [INST] U2 [/INST]``: ``[INST]`` is plain text, and the system text stands
    in the *first* user turn.
    """
    system, turns = _without_system(conversation)
    spans = [control(BOS)]
    for message in turns:
        if message.role == "assistant":
            spans += answer(message, before=" ", end=EOS)
            continue
        spans.append(text(" [INST] "))
        if system:
            spans += [content(system), text("\n\n")]
            system = ""
        spans += [content(message.content), text(" [/INST]")]
    return spans


@dataclass(frozen=True, slots=True)
class Dialect:
    """What the versions from v2 on differ in. ``space`` stands before all words: SentencePiece makes one there, and
    tekken does not. ``version`` 7 gives system texts a turn of their own; before, the *last* user turn holds them.

    - v3: ``<s>[INST] U1[/INST] A1</s>[INST] S\\n\\nU2[/INST]``; v3-tekken: the same without the spaces
    - v7: ``<s>[SYSTEM_PROMPT] S[/SYSTEM_PROMPT][INST] U1[/INST] A1</s>[INST] U2[/INST]``; v7-tekken: without the spaces
    """

    version: int
    space: str

    def render(self, conversation: Conversation, options: RenderOptions) -> list[Span]:
        system, turns = ("", conversation.messages) if self.version >= 7 else _without_system(conversation)
        last_user = max((i for i, m in enumerate(turns) if m.role == "user"), default=-1)
        spans = [control(BOS)]
        for i, message in enumerate(turns):
            last = i == last_user
            if message.role == "assistant":
                spans += self._said(message)
            elif message.role == "tool":
                spans += result(message, self.space, self.version)
            elif message.role == "system":
                spans += [control(SYSTEM[0]), *self._space(), content(message.content), control(SYSTEM[1])]
            else:
                spans += offered(conversation.tools, self.space) if last and conversation.tools else []
                spans += [control(INST[0]), *self._space()]
                spans += [content(system), text("\n\n")] if last and system else []
                spans += [content(message.content), control(INST[1])]
        return spans

    def _space(self) -> list[Span]:
        return [text(self.space)] if self.space else []

    def _said(self, message: Message) -> list[Span]:
        if not message.tool_calls:
            return answer(message, before=self.space, end=EOS)
        said = answer(message, before=self.space) if message.content else []
        end = Span(EOS, "control", True, message.train is not False)
        return [*said, *called(message, self.space, self.version), end]


def _without_system(conversation: Conversation) -> tuple[str, tuple[Message, ...]]:
    """All system texts as one, and the other turns."""
    system = "\n\n".join(m.content for m in conversation.messages if m.role == "system" and m.content)
    return system, tuple(m for m in conversation.messages if m.role != "system")


def _fitted(spec: PromptTemplate, model: TemplateModel) -> PromptTemplate:
    """Without tools where the model's tokenizer has no tokens for them."""
    tool_tokens = {token for token in spec.control_tokens if token in (*TOOL_TOKENS, RESULT_CONTENT)}
    if tool_tokens <= model.added_tokens:
        return spec
    kept = tuple(token for token in spec.control_tokens if token not in tool_tokens)
    return replace(spec, render=without_tools(spec.render), tools=False, control_tokens=kept, for_model=None)


def _template(name: str, summary: str, version: int, space: str) -> PromptTemplate:
    newer = (*SYSTEM, RESULT_CONTENT) if version >= 7 else ()
    spec = PromptTemplate(
        name=name,
        summary=summary,
        render=Dialect(version, space).render,
        control_tokens=(BOS, EOS, *INST, *TOOL_TOKENS, *newer),
        end_token=EOS,
        stop_tokens=(EOS,),
        tools=True,
        document_start=(BOS,),
        document_end=EOS,
    )
    return replace(spec, for_model=lambda model: _fitted(spec, model))


@hookimpl
def graftlm_prompt_templates() -> Iterable[PromptTemplate]:
    yield PromptTemplate(
        name="mistral-v1",
        summary="Mistral Instruct v0.1, v0.2: [INST] as words, system text in the first user turn",
        render=render_v1,
        control_tokens=(BOS, EOS),
        end_token=EOS,
        stop_tokens=(EOS,),
        document_start=(BOS,),
        document_end=EOS,
    )
    yield _template("mistral-v3", "Mistral Instruct v0.3: [INST] … [/INST], system text in the last user turn", 3, " ")
    yield _template("mistral-v3-tekken", "Mistral Nemo: as mistral-v3, without spaces (the tekken tokenizer)", 3, "")
    yield _template("mistral-v7", "Mistral Large 2411: [SYSTEM_PROMPT] … [/SYSTEM_PROMPT], else as mistral-v3", 7, " ")
    yield _template("mistral-v7-tekken", "Mistral Small 2501: as mistral-v7, without spaces (tekken)", 7, "")
