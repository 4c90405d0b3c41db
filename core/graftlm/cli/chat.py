"""``graftlm chat``."""

from __future__ import annotations

import click

from .sampling_options import sampling_of, sampling_options


@click.command()
@click.argument("name")
@click.option("--adapter", "adapters", multiple=True, metavar="NAME", help="Another adapter of that base (repeatable).")
@click.option("--system", default="", metavar="TEXT", help="A system text before the conversation.")
@click.option("--max-new-tokens", default=512, show_default=True, metavar="N", help="Longest answer, in tokens.")
@click.option("--template", default="auto", show_default=True, metavar="NAME", help="Prompt template of a model.")
@click.option("--thinking", type=click.Choice(("on", "off")), help="Let a reasoning model reason.  [default: off]")
@sampling_options
def chat(
    name: str,
    adapters: tuple[str, ...],
    system: str,
    max_new_tokens: int,
    template: str,
    thinking: str | None,
    temperature: float,
    top_p: float,
    seed: int,
) -> None:
    """Talk with the adapter NAME (or NAME@VERSION), or with the model NAME.

    Each line is a question; it works in a pipe too. /adapter NAME goes on through another adapter of the same base,
    which stays loaded; /compare shows what all of them answer, side by side; /help lists the rest. Ctrl-C stops an
    answer, Ctrl-D leaves.
    """
    import sys

    from graftlm.contracts.errors import UsageError
    from graftlm.running.one_base import OneBase
    from graftlm.running.session import Session
    from graftlm.running.stopping import number_of
    from graftlm_registry.plugins import registry

    from .chat_loop import talk
    from .chat_state import Chat

    sampling = sampling_of(max_new_tokens, temperature, top_p, seed)
    try:
        system.encode()
    except UnicodeEncodeError:
        raise UsageError("--system is not UTF-8 text") from None
    base = OneBase(name, adapters, registry(), template=template, thinking=thinking or "", verb="chat with")
    if sys.stderr.isatty():
        click.secho(f"loading {base.name} …", err=True, dim=True)
    try:
        with Session(base.job) as session:
            failed = talk(Chat(base, session, max_new_tokens, sampling, system))
    except KeyboardInterrupt as stop:
        sys.exit(128 + number_of(stop))  # click would make it one of Ctrl-C, whatever it was
    if failed:
        sys.exit(2)
