"""``graftlm templates show NAME``."""

from __future__ import annotations

import click

from .model import for_model


@click.command()
@click.argument("name")
@click.option("--model", default="", metavar="M", help="Make the template for this model, where that matters.")
def show(name: str, model: str) -> None:
    """What the template NAME makes of a conversation: the model's words are green on a terminal, ⟦…⟧ elsewhere."""
    from graftlm.cli.tables import table
    from graftlm.contracts.conversation import Conversation, Message, RenderOptions
    from graftlm.contracts.errors import DataError

    template = for_model(name, model)
    turns = (Message("user", "First question"), Message("assistant", "First answer"),
             Message("user", "Second question"), Message("assistant", "Second answer"))  # fmt: skip
    facts = [
        ("template", template.name),
        ("what it is", template.summary),
        ("ends with", template.end_token),
        ("stops at", " ".join(template.stop_tokens)),
        ("control tokens", " ".join(template.control_tokens)),
        ("tools", "yes" if template.tools else "no"),
        ("thinking", "on and off" if template.thinking else "no"),
    ]
    click.echo(table(facts))
    for title, messages in (
        ("as trained", turns),
        ("with a system turn", (Message("system", "System text"), *turns[:2])),
    ):
        click.echo(click.style(f"\n{title}", bold=True))
        try:
            spans = template.render(Conversation(messages), RenderOptions())
        except DataError as refusal:
            click.echo(f"refused: {refusal}")
            continue
        click.echo(_marked([(span.text, span.trained) for span in spans]))
    click.echo(click.style("\nasked", bold=True))
    asked = template.render(Conversation(turns[:1]), RenderOptions(generation_prompt=True))
    click.echo("".join(span.text for span in asked))


def _marked(pieces: list[tuple[str, bool]]) -> str:
    import os
    import sys
    from itertools import groupby

    coloured = sys.stdout.isatty() and not os.environ.get("NO_COLOR")
    runs = [(trained, "".join(text for text, _ in run)) for trained, run in groupby(pieces, key=lambda p: p[1])]
    if coloured:
        return "".join(click.style(text, fg="green") if trained else text for trained, text in runs)
    return "".join(f"⟦{text}⟧" if trained else text for trained, text in runs)
