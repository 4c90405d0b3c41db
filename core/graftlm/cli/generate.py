"""``graftlm generate``."""

from __future__ import annotations

from pathlib import Path

import click

from .sampling_options import sampling_of, sampling_options


@click.command()
@click.argument("name")
@click.argument("prompt", required=False)
@click.option("--file", metavar="PROMPTS", help="Prompts: a text, one on each line, or rows of any data format; '-'.")
@click.option("--adapter", "adapters", multiple=True, metavar="NAME", help="Another adapter of that base (repeatable).")
@click.option("--base", "with_base", is_flag=True, help="The base answers too, without any adapter.")
@click.option("--max-new-tokens", default=256, show_default=True, metavar="N", help="Longest answer, in tokens.")
@click.option("--system", default="", metavar="TEXT", help="A system text before each prompt.")
@click.option("--template", default="auto", show_default=True, metavar="NAME", help="Prompt template of a model.")
@click.option("--thinking", type=click.Choice(("on", "off")), help="Let a reasoning model reason.  [default: off]")
@sampling_options
@click.option("--out", type=click.Path(path_type=Path), metavar="FILE", help="A new file (.jsonl, …) for the answers.")
@click.option("--json", "as_json", is_flag=True, help="Print answers and timings as JSON, and nothing else.")
def generate(
    name: str,
    prompt: str | None,
    file: str | None,
    adapters: tuple[str, ...],
    with_base: bool,
    max_new_tokens: int,
    system: str,
    template: str,
    thinking: str | None,
    temperature: float,
    top_p: float,
    seed: int,
    out: Path | None,
    as_json: bool,
) -> None:
    """Answer PROMPT, or each prompt of a file, through the adapter NAME (or NAME@VERSION), or from the model NAME.

    An adapter's record knows its base, its template, its precision, and whether it thinks. With --adapter several
    adapters of one base answer each prompt: the base is loaded once, and LoRA adapters share batches.
    """
    from graftlm.contracts.errors import UsageError
    from graftlm.running.answer import answer
    from graftlm_registry.plugins import registry

    sampling = sampling_of(max_new_tokens, temperature, top_p, seed)
    if (prompt is None) == (file is None):
        raise UsageError("give one PROMPT, or a file of them by --file")
    for what, words in (("the prompt", prompt or ""), ("--system", system)):
        try:
            words.encode()
        except UnicodeEncodeError:
            raise UsageError(f"{what} is not UTF-8 text") from None
    if prompt is not None and not prompt.strip():
        raise UsageError("the prompt is empty")
    if prompt is not None and not (adapters or with_base or temperature or out or as_json):
        said = answer(
            name, [prompt], registry(), lambda event: None, max_new_tokens,
            template=template, thinking=thinking or "", system=system,
        )  # fmt: skip
        click.echo(said[0])
        return

    from graftlm.contracts.conversation import Conversation, Message
    from graftlm.running.many_answers import answer_all
    from graftlm.running.one_base import OneBase
    from graftlm.running.prompts import read_prompts
    from graftlm.running.stopping import interrupted

    from .generated import print_json, print_text, print_timings, refuse_existing, write
    from .progress import Progress

    if out is not None:
        refuse_existing(out)
    base = OneBase(name, adapters, registry(), template=template, thinking=thinking or "", apart=with_base)
    who = list(base.references)
    if with_base or not who:
        who.append("")
    if file is not None:
        prompts = read_prompts(file, system, registry())
    else:
        before = (Message("system", system),) if system else ()
        prompts = (Conversation((*before, Message("user", prompt or ""))),)
    try:
        with Progress(quiet=as_json) as progress:
            found, timings = answer_all(base.job, prompts, who, max_new_tokens, sampling, progress.on_event)
    except KeyboardInterrupt as stop:
        raise interrupted(stop) from None
    if not any(each.fits for each in found):
        longest = max(each.prompt_tokens for each in found)
        raise UsageError(f"a prompt of {longest} tokens leaves no room for an answer in the positions of this model")
    for each in found:
        if not each.fits:
            progress.on_event({
                "event": "warning",
                "message": f"{prompts[each.row].source}: {each.prompt_tokens} tokens leave no room for an answer",
            })  # fmt: skip
    if out is not None:
        write(out, prompts, found, base.name)
    if as_json:
        print_json(prompts, found, timings, base.name)
        return
    if out is None:
        print_text(prompts, found, base.name, several=len(who) > 1)
    print_timings(found, timings, base.name, len(prompts))
