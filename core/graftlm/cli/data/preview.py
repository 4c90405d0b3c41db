"""``graftlm data preview``: samples as the model will see them."""

from __future__ import annotations

import heapq
import random
from collections.abc import Iterable
from typing import TYPE_CHECKING

import click

from .prompting import model_options
from .reading import ReadingOptions, find_inputs, how_to_read, reading_options

if TYPE_CHECKING:
    from graftlm.contracts.conversation import Conversation
    from graftlm.planning.prompted_model import PromptedModel


@click.command()
@click.argument("data")
@model_options
@reading_options
@click.option("--rows", default=3, show_default=True, metavar="N", help="How many samples.")
@click.option(
    "--order",
    type=click.Choice(["first", "longest", "random"]),
    default="first",
    show_default=True,
    help="Which samples. The longest are counted in tokens, over all of DATA.",
)
@click.option("--seed", default=0, show_default=True, metavar="N", help="Of a random choice.")
@click.option("--ids", is_flag=True, help="One line for each token: its id, its text, what it is.")
def preview(
    data: str, model: str, template: str, train_on: str, format: str, columns: str, split: str, offline: bool,
    rows: int, order: str, seed: int, ids: bool,
) -> None:  # fmt: skip
    """Show samples of DATA as tokens: trained, not trained, control.

    On a terminal, trained tokens are green and control tokens blue; elsewhere trained ones stand between ⟦ and ⟧.
    """
    from graftlm.contracts.errors import UsageError
    from graftlm.data.conversations import read, strict
    from graftlm.planning.prompted_model import prompted_model
    from graftlm_registry.plugins import registry

    from .token_picture import sample_picture

    if rows < 1:
        raise UsageError("--rows must be at least 1")
    chosen = prompted_model(model, registry(), template=template, offline=offline, allow_mismatch=True)
    inputs = find_inputs(data, split, offline)
    reading = how_to_read(inputs, ReadingOptions(format, columns, split, offline))
    conversations = strict(read(inputs, reading))
    picked = _pick(conversations, rows, order, seed, chosen, train_on)
    for i, conversation in enumerate(picked):
        click.echo(("\n" if i else "") + sample_picture(chosen, conversation, train_on, ids))


def _pick(
    rows: Iterable[Conversation], count: int, order: str, seed: int, model: PromptedModel, train_on: str
) -> list[Conversation]:
    from itertools import islice

    if order == "first":
        return list(islice(rows, count))
    if order == "random":
        draw = random.Random(seed)
        kept: list[Conversation] = []  # reservoir sampling: one pass, whatever the length
        for i, row in enumerate(rows):
            if len(kept) < count:
                kept.append(row)
            elif (place := draw.randrange(i + 1)) < count:
                kept[place] = row
        return kept
    from graftlm.contracts.conversation import RenderOptions
    from graftlm.encoding.rendering import render

    def length(row: Conversation) -> int:
        return len(model.tokenizer.encode(render(model.template, row, RenderOptions(), train_on)).ids)

    return [row for _, _, row in heapq.nlargest(count, ((length(row), -i, row) for i, row in enumerate(rows)))]
