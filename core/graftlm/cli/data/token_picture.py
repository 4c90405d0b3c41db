"""A sample's tokens, as people see them."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

import click

from graftlm.cli.tables import table
from graftlm.cli.terminal import visible
from graftlm.contracts.conversation import Conversation, RenderOptions, Span
from graftlm.contracts.errors import DataError
from graftlm.encoding.rendering import render
from graftlm.encoding.tokenizing import SpanTokenizer
from graftlm.planning.prompted_model import PromptedModel

STYLES = {
    "control": ({"fg": "blue", "bold": True}, {"fg": "blue", "bold": True}),
    "trained": ({"fg": "green", "bold": True}, {"fg": "green"}),
    "prompt": ({}, {"dim": True}),
}
"""Neighbouring tokens take turns, so that one can see where each ends."""


@dataclass(frozen=True, slots=True)
class ShownToken:
    """A token, the text that it stands for, and what it is."""

    id: int
    text: str
    control: bool
    trained: bool

    @property
    def what(self) -> str:
        return " ".join(word for word, is_so in (("control", self.control), ("trained", self.trained)) if is_so) or "-"


def shown_tokens(tokenizer: SpanTokenizer, spans: Sequence[Span]) -> list[ShownToken]:
    """The tokens of a rendered sample, in order."""
    found = []
    for group in tokenizer.pieces(spans):
        first = group[0]
        if first.kind == "control":
            found.append(ShownToken(tokenizer.control_id(first.text), first.text, True, first.trained))
        else:
            text = "".join(span.text for span in group)
            found += [ShownToken(i, words, False, first.trained) for i, words in tokenizer.shown(text)]
    return found


@dataclass(frozen=True, slots=True)
class View:
    """How samples are looked at: as this model is trained on them."""

    model: PromptedModel
    train_on: str
    options: RenderOptions

    def spans(self, conversation: Conversation) -> Sequence[Span]:
        """``DataError`` with the place where the template cannot say what the row says."""
        try:
            return render(self.model.template, conversation, self.options, self.train_on)
        except DataError as error:
            raise DataError(f"{conversation.source}: {error}") from None


def sample_picture(view: View, conversation: Conversation, ids: bool) -> str:
    """A headline with the place and the counts, then the text in colours, or with ``ids`` a line for each token."""
    tokens = shown_tokens(view.model.tokenizer, view.spans(conversation))
    trained = sum(token.trained for token in tokens)
    head = f"{conversation.source}: {len(tokens)} tokens, {trained} trained, template {view.model.template.name}"
    coloured = sys.stdout.isatty() and not os.environ.get("NO_COLOR")
    if coloured:
        head = click.style(head, bold=True)
    if ids:
        return f"{head}\n{table([(str(t.id), t.what, repr(t.text)) for t in tokens], ('id', 'what', 'text'))}"
    return f"{head}\n{_coloured(tokens) if coloured else _bracketed(tokens)}"


def _coloured(tokens: Sequence[ShownToken]) -> str:
    out = []
    for i, token in enumerate(tokens):
        style = STYLES["trained" if token.trained else "control" if token.control else "prompt"][i % 2]
        text = click.style(visible(token.text), underline=token.control or None, **style)  # type: ignore[arg-type]
        out.append(text)
    return "".join(out)


def _bracketed(tokens: Sequence[ShownToken]) -> str:
    runs = ((trained, "".join(t.text for t in run)) for trained, run in groupby(tokens, key=lambda t: t.trained))
    whole = "".join(f"⟦{text}⟧" if trained else text for trained, text in runs)
    return visible(whole) if sys.stdout.isatty() else whole
