"""``acme``: a heading over each turn, in plain text."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from graftlm.api import (
    Conversation,
    DataError,
    PromptTemplate,
    RenderOptions,
    Span,
    answer,
    content,
    control,
    hookimpl,
    text,
)

START, END = "<s>", "</s>"
"""Control tokens: entries of the tokenizer's vocabulary, looked up by name and never tokenized."""
HEADINGS = {"system": "## Rules\n", "user": "## Question\n", "assistant": "## Answer\n"}


def render(conversation: Conversation, options: RenderOptions) -> Sequence[Span]:
    """``<s>## Question\\nU1\\n## Answer\\nA1</s>## Question\\nU2\\n…``

    Spans say what each piece of text is, and so what is trained: ``control`` is one control token, ``text`` the
    template's own words, ``content`` what somebody typed (it can never become a control token), ``answer`` what the
    model says, with the token that ends it. What training puts before an answer must be what the model is given when it
    is asked: here, all up to the heading.
    """
    if conversation.uses_tools:
        raise DataError("it has tools, and this template has no form for them: choose a --template that has")
    spans = [control(START)]
    for message in conversation.messages:
        spans.append(text(HEADINGS[message.role]))
        if message.role == "assistant":
            spans += answer(message, end=END)
        else:
            spans += [content(message.content), text("\n")]
    if options.generation_prompt:
        spans.append(text(HEADINGS["assistant"]))
    return spans


@hookimpl
def graftlm_prompt_templates() -> Iterable[PromptTemplate]:
    yield PromptTemplate(
        name="acme",
        summary="a heading over each turn, in plain text",
        render=render,
        control_tokens=(START, END),
        end_token=END,
        stop_tokens=(END,),
        document_start=(START,),
        suite="graftlm_acme.conformance:AcmeSuite",
    )
