"""``graftlm models list|show``."""

from __future__ import annotations

import json

import click


@click.group()
def models() -> None:
    """List and show the base models that are known."""


@models.command("list")
def list_() -> None:
    """Models that come with graftlm, and shapes of well-known ones."""
    from graftlm_registry.models import catalogue

    from .tables import table

    known = catalogue()
    rows = []
    for name in known.names():
        entry = known.entry(name)
        use = name if entry.folder else f"shape:{name}"
        rows.append(
            (
                use,
                str(entry.config["model_type"]),
                "comes with graftlm" if entry.folder else "random weights",
                entry.summary,
            )
        )
    click.echo(table(rows, ("--model", "type", "weights", "what it is")))


@models.command()
@click.argument("name")
def show(name: str) -> None:
    """The card of a built-in model as JSON, or the configuration of a shape."""
    from graftlm_registry.models import catalogue

    entry = catalogue().entry(name.removeprefix("shape:"))
    click.echo(json.dumps(catalogue().card(name) if entry.folder else dict(entry.config), indent=2, ensure_ascii=False))
