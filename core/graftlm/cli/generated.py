"""What ``graftlm generate`` shows of many answers, and writes."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .terminal import visible

if TYPE_CHECKING:
    from graftlm.contracts.conversation import Conversation
    from graftlm.running.many_answers import Answered, Timings


def refuse_existing(out: Path) -> None:
    """Before anything is answered."""
    from graftlm.contracts.errors import UsageError
    from graftlm.data.containers import kind_of

    if os.path.lexists(out):
        raise UsageError(f"{out} exists already: give another --out")
    if kind_of(out) is None:
        raise UsageError(f"--out {out}: its ending is of no known kind; say .jsonl")
    if not out.absolute().parent.is_dir():
        raise UsageError(f"--out {out}: there is no folder {out.absolute().parent}")


def rows(prompts: Sequence[Conversation], found: Sequence[Answered], base: str) -> Iterator[dict[str, Any]]:
    """One a prompt and adapter. ``adapter`` is empty where the base answered, which ``model`` names in any case."""
    for each in found:
        prompt = prompts[each.row]
        yield {
            "prompt": prompt.messages[-1].content,
            "adapter": each.who,
            "model": base,
            "answer": each.text,
            "tokens": each.tokens,
            "ended": each.ended,
            "fits": each.fits,
            "source": prompt.source,
        }


def write(out: Path, prompts: Sequence[Conversation], found: Sequence[Answered], base: str) -> None:
    from graftlm.data.containers.writing import open_writer

    with open_writer(out) as writer:
        for row in rows(prompts, found, base):
            writer.write(row)
    click.echo(f"{len(found)} answers written to {out}", err=True)


def print_json(prompts: Sequence[Conversation], found: Sequence[Answered], timings: Timings, base: str) -> None:
    from graftlm.contracts.serial import to_builtins

    took = {**to_builtins(timings), "tokens_per_second": timings.tokens_per_second}
    click.echo(json.dumps({"answers": list(rows(prompts, found, base)), "timings": took}, ensure_ascii=False))


def print_text(prompts: Sequence[Conversation], found: Sequence[Answered], base: str, several: bool) -> None:
    """Each prompt, where there are several, and below it who says what."""
    last = -1
    for each in found:
        if each.row != last and len(prompts) > 1:
            lead = "\n" if last >= 0 else ""
            click.echo(f"{lead}{click.style('> ' + visible(prompts[each.row].messages[-1].content), bold=True)}")
        last = each.row
        lead = click.style(f"{each.who or base}: ", fg="cyan") if several else ""
        click.echo(f"{lead}{visible(each.text)}")


def print_timings(found: Sequence[Answered], timings: Timings, base: str, prompts: int) -> None:
    """To standard error: the answers may be piped on."""
    guests = sorted({each.who for each in found if each.who})
    first = f"{base} loaded in {timings.load:.1f} s"
    if guests:
        first += f", {_counted(len(guests), 'adapter')} in {timings.adapters * 1000:,.0f} ms"
    second = f"{_counted(prompts, 'prompt')}, {_counted(len(found), 'answer')}, {_counted(timings.tokens, 'token')}"
    speed = f"in {timings.answering:.1f} s ({timings.tokens_per_second:,.0f} tokens/s)"
    swaps = timings.swaps
    third = f"; {_counted(len(swaps), 'swap')} of {sum(swaps) / len(swaps) * 1000:,.1f} ms" if swaps else ""
    click.secho(f"{first}; {second} {speed}{third}", err=True, dim=True)
    if timings.mixed:
        click.secho(f"in common batches: {', '.join(each or base for each in timings.mixed)}", err=True, dim=True)
    apart = [each for each in guests if each not in timings.mixed]
    if len({each.who for each in found}) > 1 and apart:
        click.secho(f"in turn, not in common batches: {', '.join(apart)}", err=True, dim=True)


def _counted(count: int, what: str) -> str:
    return f"{count:,} {what}{'' if count == 1 else 's'}"
