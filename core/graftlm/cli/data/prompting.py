"""What commands take that look at data as a model reads it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

F = TypeVar("F", bound=Callable[..., Any])


def model_options(command: F) -> F:
    """Add ``--model --template --train-on --thinking``."""
    for option in (
        click.option(
            "--thinking",
            type=click.Choice(["auto", "on", "off"]),
            default="auto",
            show_default=True,
            help="Whether a reasoning model is asked to reason. auto: where DATA holds thoughts, as in training.",
        ),
        click.option(
            "--train-on",
            type=click.Choice(["assistant", "last", "all"]),
            default="assistant",
            show_default=True,
            help="What is supervised.",
        ),
        click.option("--template", default="auto", show_default=True, metavar="NAME", help="Prompt template."),
        click.option("--model", required=True, metavar="M", help="The model whose tokenizer and template are used."),
    ):
        command = option(command)
    return command
