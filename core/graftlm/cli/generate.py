"""``graftlm generate``."""

from __future__ import annotations

import click


@click.command()
@click.argument("name")
@click.argument("prompt")
@click.option("--max-new-tokens", default=256, show_default=True, metavar="N", help="Longest answer, in tokens.")
@click.option("--system", default="", metavar="TEXT", help="A system text before the prompt.")
@click.option("--template", default="auto", show_default=True, metavar="NAME", help="Prompt template of a model.")
@click.option("--thinking", type=click.Choice(("on", "off")), help="Let a reasoning model reason.  [default: off]")
def generate(name: str, prompt: str, max_new_tokens: int, system: str, template: str, thinking: str | None) -> None:
    """Answer PROMPT through the adapter NAME (or NAME@VERSION), or from the model NAME.

    An adapter's record knows its base, its template, its precision, and whether it thinks.
    """
    from graftlm.contracts.errors import UsageError
    from graftlm.running.answer import answer
    from graftlm_registry.plugins import registry

    if max_new_tokens < 1:
        raise UsageError("--max-new-tokens must be at least 1")
    for what, words in (("the prompt", prompt), ("--system", system)):
        try:
            words.encode()
        except UnicodeEncodeError:
            raise UsageError(f"{what} is not UTF-8 text") from None
    if not prompt.strip():
        raise UsageError("the prompt is empty")
    said = answer(
        name, [prompt], registry(), lambda event: None, max_new_tokens,
        template=template, thinking=thinking or "", system=system,
    )  # fmt: skip
    click.echo(said[0])
