"""GLM's chat formats: role tokens open the turns, and the next one ends them."""

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

from .no_tools import without_tools
from .thoughts import THINK, THOUGHT, separated
from .thoughts import said as without_thought

if TYPE_CHECKING:
    from graftlm.api import TemplateModel

USER, ASSISTANT, OBSERVATION = "<|user|>", "<|assistant|>", "<|observation|>"
ROLES = {"system": "<|system|>", "user": USER, "assistant": ASSISTANT}
NO_THINKING = "/nothink"


@dataclass(frozen=True, slots=True)
class Layout:
    """What the generations before the reasoning ones differ in: the tokens that open a text, and the ``gap`` between
    role and words. ``asks_with_gap``: the generation prompt holds it. ``silent``: no empty system turn is rendered.

    - chatglm3: ``[gMASK]sop<|system|>\\n S<|user|>\\n U1<|assistant|>\\n A1<|user|>\\n U2<|assistant|>``
    - glm4: ``[gMASK]<sop><|system|>\\nS<|user|>\\nU1<|assistant|>\\nA1<|user|>\\nU2<|assistant|>``
    - glm4-newline: as glm4, with ``<|assistant|>\\n`` as the generation prompt

    An assistant turn has no end token of its own: the user's role token ends it. It is supervised as the answer's
    end, and it opens the next user turn, so that training sees what inference must produce.
    """

    start: tuple[str, str] = ("[gMASK]", "<sop>")
    gap: str = "\n"
    asks_with_gap: bool = False
    silent: bool = False

    def render(self, conversation: Conversation, options: RenderOptions) -> list[Span]:
        turns = [m for m in conversation.messages if m.content or m.role != "system" or not self.silent]
        spans = [control(token) for token in self.start]
        for i, message in enumerate(turns):
            if message.role == "assistant":
                spans += self._asked()
                spans += answer(
                    message, before="" if self.asks_with_gap else self.gap, end=USER, added=_closes(turns, i)
                )
            else:
                spans += [*_role(turns, i), text(self.gap), content(message.content)]
        return spans + self._asked() if options.generation_prompt else spans

    def _asked(self) -> list[Span]:
        return [control(ASSISTANT), text(self.gap)] if self.asks_with_gap else [control(ASSISTANT)]


def _role(turns: list[Message], i: int) -> list[Span]:
    """The role token of the turn ``i``, unless it ended the answer before."""
    opened = i > 0 and turns[i - 1].role == "assistant" and turns[i].role == "user"
    return [] if opened else [control(ROLES[turns[i].role])]


def _closes(turns: list[Message], i: int) -> bool:
    """No user speaks after the answer ``i``: the model's own template has no user's token there."""
    return i + 1 == len(turns) or turns[i + 1].role != "user"


@without_tools
def render_glm4_5(conversation: Conversation, options: RenderOptions, marked: bool = True) -> list[Span]:
    """``[gMASK]<sop><|user|>\\nU1/nothink<|assistant|>\\n<think></think>\\nA1<|user|>\\nU2/nothink<|assistant|>\\n<think>
    </think>`` without thinking; with it no ``/nothink``, and the prompt ends in ``<|assistant|>``.

    A thought is kept after the last question alone; elsewhere an empty one stands. Without thinking, the prompt holds
    the empty thought; with it, it is the answer's, and not supervised where it replaces a real one. ``marked``: the
    tokenizer has a token for ``/nothink``.
    """
    turns = list(conversation.messages)
    last_user = max((i for i, m in enumerate(turns) if m.role == "user"), default=-1)
    spans = [control("[gMASK]"), control("<sop>")]
    for i, message in enumerate(turns):
        words = message.content
        if message.role != "assistant":
            spans += [*_role(turns, i), text("\n"), content(words)]
            if message.role == "user" and not options.thinking and not words.endswith(NO_THINKING):
                spans.append(control(NO_THINKING) if marked else text(NO_THINKING))
            continue
        thought, words = (part.strip() for part in separated(words))
        kept = thought if i > last_user else ""
        own = bool(kept) or options.thinking
        trained = message.train is not False and (bool(kept) or not thought)
        spans += [control(ASSISTANT), *_thought(kept, own, own and trained)]
        turn = Message("assistant", words, message.train)
        spans += answer(turn, before="\n" if words else "", end=USER, added=_closes(turns, i))
    if options.generation_prompt:
        spans += [control(ASSISTANT), *([] if options.thinking else _thought("", False, False))]
    return spans


def _thought(thought: str, own: bool, trained: bool) -> list[Span]:
    """``\\n<think>…</think>``, the prompt's or the answer's ``own``."""
    return [
        Span("\n", "text", own, trained),
        Span(THINK, "control", own, trained),
        *([Span(thought, "content", own, trained)] if thought else []),
        Span(THOUGHT, "control", own, trained),
    ]


GLM4_5 = PromptTemplate(
    name="glm4.5",
    summary="GLM-4.5, 4.6: <think></think> in every answer, /nothink after the user's words",
    render=render_glm4_5,
    control_tokens=("[gMASK]", "<sop>", *ROLES.values(), THINK, THOUGHT, NO_THINKING),
    end_token=USER,
    stop_tokens=(USER, "<|endoftext|>", OBSERVATION),
    said=without_thought,
    thinking=True,
    document_start=("[gMASK]", "<sop>"),
    document_end="<|endoftext|>",
    for_model=lambda model: _glm4_5_for(model),
)


def _glm4_5_for(model: TemplateModel) -> PromptTemplate:
    """``/nothink`` is plain text where the tokenizer has no token for it."""
    if NO_THINKING in model.added_tokens:
        return GLM4_5
    return replace(
        GLM4_5,
        render=lambda conversation, options: render_glm4_5(conversation, options, False),
        control_tokens=tuple(token for token in GLM4_5.control_tokens if token != NO_THINKING),
    )


def _template(name: str, summary: str, layout: Layout, end_of_text: str = "<|endoftext|>") -> PromptTemplate:
    return PromptTemplate(
        name=name,
        summary=summary,
        render=without_tools(layout.render),
        control_tokens=(*layout.start, *ROLES.values()),
        end_token=USER,
        stop_tokens=(USER, end_of_text, OBSERVATION),
        document_start=layout.start,
        document_end=end_of_text,
    )


@hookimpl
def graftlm_prompt_templates() -> Iterable[PromptTemplate]:
    yield _template(
        "chatglm3", "ChatGLM3: role tokens, each followed by a new line and a space",
        Layout(("[gMASK]", "sop"), gap="\n "), "</s>",
    )  # fmt: skip
    yield _template("glm4", "GLM-4: role tokens, a turn ends where the next one stands", Layout(silent=True))
    yield _template(
        "glm4-newline", "GLM-4 with a new line at the end of the generation prompt", Layout(asks_with_gap=True)
    )
    yield GLM4_5
