"""``graftlm generate``."""

from __future__ import annotations

import click


@click.command()
@click.argument("name")
@click.argument("prompt")
@click.option("--max-new-tokens", default=256, show_default=True, metavar="N", help="Longest answer, in tokens.")
def generate(name: str, prompt: str, max_new_tokens: int) -> None:
    """Answer PROMPT through the adapter NAME (or NAME@VERSION), or from the model NAME.

    An adapter's record knows its base, its template and its precision.
    """
    from graftlm.contracts.errors import UsageError
    from graftlm.running.answer import answer
    from graftlm_registry.plugins import registry

    if max_new_tokens < 1:
        raise UsageError("--max-new-tokens must be at least 1")
    try:
        prompt.encode()
    except UnicodeEncodeError:
        raise UsageError("the prompt is not UTF-8 text") from None
    if not prompt.strip():
        raise UsageError("the prompt is empty")
    click.echo(answer(name, [prompt], registry(), lambda event: None, max_new_tokens)[0])
