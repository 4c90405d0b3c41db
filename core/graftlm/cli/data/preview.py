"""``graftlm data preview``: samples as the model will see them."""

from __future__ import annotations

import heapq
import random
from collections.abc import Iterable
from typing import TYPE_CHECKING

import click

from graftlm.contracts.conversation import Conversation, RenderOptions

from .prompting import model_options
from .reading import ReadingOptions, find_inputs, how_to_read, reading_options

if TYPE_CHECKING:
    from graftlm.data.conversations import Fault

    from .token_picture import View


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
    data: str, model: str, template: str, train_on: str, thinking: str, format: str, columns: str, split: str,
    offline: bool, rows: int, order: str, seed: int, ids: bool,
) -> None:  # fmt: skip
    """Show samples of DATA as tokens: trained, not trained, control.

    On a terminal, trained tokens are green and control tokens blue; elsewhere trained ones stand between ⟦ and ⟧.
    """
    from graftlm.contracts.errors import DataError, UsageError
    from graftlm.data.conversations import read
    from graftlm.planning.encoding_plan import thinks
    from graftlm.planning.prompted_model import prompted_model
    from graftlm_registry.plugins import registry

    from .token_picture import View, sample_picture

    if rows < 1:
        raise UsageError("--rows must be at least 1")
    chosen = prompted_model(model, registry(), template=template, offline=offline, allow_mismatch=True)
    inputs = find_inputs(data, split, offline)
    reading = how_to_read(inputs, ReadingOptions(format, columns, split, offline))
    asked = thinking == "auto" and chosen.template.thinking  # as a plan has it: one thought in DATA asks every row
    thoughts = asked and any(isinstance(r, Conversation) and r.has_thoughts for r in read(inputs, reading))
    view = View(chosen, train_on, RenderOptions(thinking=thinks(thinking, chosen.template, thoughts)))
    picked = _pick(read(inputs, reading), rows, order, seed, view)
    if not picked:
        raise DataError(f"{inputs.reference} has no records")
    for i, conversation in enumerate(picked):
        shown = sample_picture(view, conversation, ids)
        click.echo(("\n" if i else "") + shown, color=None if ids else True)  # what looks like colour in DATA stays


def _pick(found: Iterable[Conversation | Fault], count: int, order: str, seed: int, view: View) -> list[Conversation]:
    from itertools import islice

    from graftlm.data.conversations import strict

    if order == "first":
        return list(strict(islice(found, count)))  # a row that cannot be read is told, not left out
    rows = strict(found)
    if order == "random":
        draw = random.Random(seed)
        kept: list[Conversation] = []  # reservoir sampling: one pass, whatever the length
        for i, row in enumerate(rows):
            if len(kept) < count:
                kept.append(row)
            elif (place := draw.randrange(i + 1)) < count:
                kept[place] = row
        return kept

    def length(row: Conversation) -> int:
        return len(view.model.tokenizer.encode(view.spans(row)).ids)

    return [row for _, _, row in heapq.nlargest(count, ((length(row), -i, row) for i, row in enumerate(rows)))]
