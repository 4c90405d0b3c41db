"""GLM-4's chat format: role tokens open the turns, and the next one ends them."""

from __future__ import annotations

from collections.abc import Iterable

from graftlm.api import (
    Conversation,
    PromptTemplate,
    RenderOptions,
    Span,
    answer,
    content,
    control,
    hookimpl,
    text,
)

ROLES = {"system": "<|system|>", "user": "<|user|>", "assistant": "<|assistant|>"}
END = ROLES["user"]


def render_glm4(conversation: Conversation, options: RenderOptions) -> list[Span]:
    """``[gMASK]<sop><|user|>\\nU1<|assistant|>\\nA1<|user|>…``

    An assistant turn has no end token of its own: the user's role token ends it. It is supervised as the answer's
    end, and it opens the next user turn, so that training sees what inference must produce.
    """
    spans = [control("[gMASK]"), control("<sop>")]
    turns = conversation.messages
    for i, message in enumerate(turns):
        opened = i > 0 and turns[i - 1].role == "assistant" and message.role == "user"
        spans += [] if opened else [control(ROLES[message.role])]
        spans.append(text("\n"))
        if message.role == "assistant":
            following = turns[i + 1].role if i + 1 < len(turns) else "user"
            spans += answer(message, end=END if following == "user" else "")
        else:
            spans.append(content(message.content))
    return [*spans, control(ROLES["assistant"]), text("\n")] if options.generation_prompt else spans


@hookimpl
def graftlm_prompt_templates() -> Iterable[PromptTemplate]:
    yield PromptTemplate(
        name="glm4",
        summary="GLM-4: role tokens, a turn ends where the next role token stands",
        render=render_glm4,
        control_tokens=("[gMASK]", "<sop>", *ROLES.values()),
        end_token=END,
        own_end=False,
        stop_tokens=(END, "<|endoftext|>", "<|observation|>"),
    )
