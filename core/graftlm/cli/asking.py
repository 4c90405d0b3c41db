"""A question before something is done that cannot be undone, or not easily."""

from __future__ import annotations

import click

from graftlm.contracts.errors import UsageError


def ask_first(question: str, otherwise: str) -> None:
    """``UsageError`` with ``otherwise``, such as "nothing was removed", where the answer is no, or nobody answers."""
    try:
        agreed = click.confirm(question, err=True)
    except click.Abort as stop:
        if not isinstance(stop.__context__, EOFError):
            raise  # Ctrl-C
        click.echo(err=True)  # the question's line has no end yet
        raise UsageError(f"{otherwise}, as nobody answered: give --yes") from None
    if not agreed:
        raise UsageError(otherwise)
