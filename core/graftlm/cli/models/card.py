"""The card of a model that comes with graftlm, for people."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import click

from graftlm.cli.tables import table


def print_card(card: Mapping[str, Any]) -> None:
    """Skills, few-shot curves, suggestions, recipe."""
    recipe = card["recipe"]
    click.echo(f"\nskills, of {card['n']} questions each ({card['scored']})")
    click.echo(table([(skill, f"{score:.0%}") for skill, score in card["skills"].items()], ("skill", "right")))
    shots = tuple(next(iter(card["few_shot"].values()), {}))
    click.echo("\nlearned from examples in the prompt, by their number")
    curves = [(task, *(f"{curve[n]:.0%}" for n in shots)) for task, curve in card["few_shot"].items()]
    click.echo(table(curves, ("task", *shots)))
    click.echo("\nhow it was made")
    rows = [
        ("command", recipe["command"]),
        ("seed", f"{recipe['seed']}, torch {recipe['torch']}, {recipe['minutes']} minutes"),
        ("text loss", f"{card['text_loss']} nats a token"),
        ("trained on", f"up to {card['context']['trained']} of {card['context']['positions']} positions"),
        ("suggests", ", ".join(f"{name} {value}" for name, value in card["suggestions"].items())),
        ("weights", f"digest {card['weights_digest']}"),
    ]
    click.echo(table(rows))
