"""``graftlm advise``: prompt, tune, collect more data, or look things up?"""

from __future__ import annotations

import json
from typing import Any

import click

from .judging_options import judged_config, judging_options


@click.command()
@judging_options
@click.option("--limit", default=200, show_default=True, metavar="N", help="Validation rows that are asked, at most.")
@click.option("--shots", metavar="K,K", help="Numbers of examples.  [default: 1,2,4,8,16,32, as far as they fit]")
@click.option(
    "--cot-prompt",
    metavar="TEXT",
    help="Put before a question for a chain of thought. What is said behind the last 'Answer:' counts, so ask for that "
    "line.  [default: Think step by step, and end with a line 'Answer: …' …]",
)
@click.option(
    "--cot-tokens",
    type=int,
    metavar="N",
    help="Room for thoughts.  [default: 64 + 4 longest answers; where the model is not built in, at least 256, and "
    "2,048 in a thinking mode, as far as it has the positions]",
)
@click.option("--good-enough", type=float, metavar="X", help="The score that is wanted.  [default: 0.9 of a share]")
@click.option("--calls", type=int, metavar="N", help="How often it will be asked: may make examples too dear.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object, and nothing else.")
def advise(
    data: str,
    models: tuple[str, ...],
    adapters: tuple[str, ...],
    assignments: tuple[str, ...],
    limit: int,
    shots: str | None,
    cot_prompt: str | None,
    cot_tokens: int | None,
    good_enough: float | None,
    calls: int | None,
    as_json: bool,
    **flags: Any,
) -> None:
    """Try what prompting gives on DATA, and say what to do.

    Validation rows are asked bare, with examples from the training rows, and step by step; test rows are not asked.
    The answer is one of four: prompting is enough; fine-tune; collect better data first; this is knowledge, so look it
    up. With --adapter, it says too whether tuning beat the best prompt.

    \b
    graftlm advise data.jsonl --val-split 0.2 --model tiny-mistral
    graftlm advise data/ --model tiny-mistral --model tiny-qwen --calls 100000
    """
    from graftlm.contracts.errors import Interrupted
    from graftlm.judging.advice.advising import Wanted, advise
    from graftlm.judging.advice.asking import Ways
    from graftlm_registry.plugins import registry

    from .advice_table import advice_json, advice_text
    from .progress import Progress

    for name, value in (("--limit", limit), ("--cot-tokens", cot_tokens), ("--calls", calls)):
        _at_least_one(name, value)
    words = "" if cot_prompt is None else _spaced(cot_prompt)
    ways = Ways(counts=_counts(shots), cot_prompt=words, cot_tokens=cot_tokens or 0)
    wanted = Wanted(limit=limit, ways=ways, good_enough=good_enough, calls=calls)
    config = judged_config(data, flags, assignments)

    def say(words: str) -> None:
        if not as_json:
            click.echo(words, err=True)

    try:
        with Progress(quiet=as_json) as progress:
            advice = advise(config, models, adapters, wanted, registry(), progress.on_event, say)
    except Interrupted as stop:
        kept = Interrupted(f"{stop}. What was answered is kept, and the same command goes on")
        kept.exit_code = stop.exit_code
        raise kept from None
    click.echo(json.dumps(advice_json(advice)) if as_json else advice_text(advice))


def _counts(said: str | None) -> tuple[int, ...]:
    from graftlm.contracts.errors import UsageError

    if said is None:
        return ()
    parts = [part.strip() for part in said.split(",") if part.strip()]
    if not parts or not all(part.isdecimal() and 0 < int(part) < 10_000 for part in parts):
        raise UsageError(f"--shots {said}: numbers of examples with commas between them, as 1,2,4,8")
    return tuple(sorted({int(part) for part in parts}))


def _at_least_one(name: str, value: int | None) -> None:
    from graftlm.contracts.errors import UsageError

    if value is not None and value < 1:
        raise UsageError(f"{name} must be at least 1")


def _spaced(words: str) -> str:
    """With a space, or what it ends with, before the question."""
    from graftlm.contracts.errors import UsageError

    if not words.strip():
        raise UsageError("--cot-prompt is empty: say what asks for a chain of thought, as 'Think step by step.'")
    return words if words[-1].isspace() else f"{words} "
