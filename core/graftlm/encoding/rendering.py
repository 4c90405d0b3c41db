"""From a conversation to spans: the template's, or a document's, supervised as the run asks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from graftlm.contracts.conversation import Conversation, RenderOptions, Span
from graftlm.contracts.errors import DataError
from graftlm.contracts.specs import PromptTemplate

TRAIN_ON = ("assistant", "last", "all")


def render(
    template: PromptTemplate, conversation: Conversation, options: RenderOptions, train_on: str = "assistant"
) -> Sequence[Span]:
    """``train_on``: every answer, the last one alone, or all text. A turn that says ``train: false`` never is.

    ``DataError`` where the template has no form for what the row says.
    """
    if conversation.is_document:
        return _document(template, conversation)
    if conversation.uses_tools and not template.tools:
        raise DataError(f"it has tools, and the template '{template.name}' has no form for them")
    if train_on == "last":
        conversation = _last_answer_alone(conversation)
    spans = template.render(conversation, options)
    if train_on == "all":
        return [span if span.answer else replace(span, trained=True) for span in spans]
    return spans


def _document(template: PromptTemplate, conversation: Conversation) -> list[Span]:
    """A text is written by the model from its first word to its end."""
    message = conversation.messages[0]
    trained = message.train is not False
    return [
        *(Span(token, "control") for token in template.document_start),
        Span(message.content, "content", True, trained),
        Span(template.document_end or template.end_token, "control", True, trained),
    ]


def _last_answer_alone(conversation: Conversation) -> Conversation:
    messages = conversation.messages
    last = max((i for i, m in enumerate(messages) if m.role == "assistant"), default=-1)
    return replace(
        conversation,
        messages=tuple(
            replace(m, train=False) if m.role == "assistant" and i != last else m for i, m in enumerate(messages)
        ),
    )
