"""``graftlm gap``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .judging_options import judging_options

if TYPE_CHECKING:
    from graftlm.contracts.config import RunConfig
    from graftlm.data.conversations import Reading
    from graftlm.data.inputs import Inputs
    from graftlm.judging.gaps.pool import Pool, Suggested
    from graftlm.judging.subjects import Subject


@click.command()
@judging_options
@click.option("--limit", default=500, show_default=True, metavar="N", help="Ask at most so many validation rows.")
@click.option("--metric", default="", metavar="NAME", help="The metric that decides.  [default: the evaluator's first]")
@click.option("--examples", default=3, show_default=True, metavar="N", help="Show so many errors of each kind.")
@click.option("--pool", metavar="POOL", help="Rows that might be trained on, read as DATA is: which would help most?")
@click.option("--suggest", type=int, metavar="N", help="Rows of the pool to choose.  [default: a tenth, at least 20]")
@click.option("--out", type=click.Path(path_type=Path), metavar="FILE", help="A new file for the chosen rows.")
@click.option("--json", "as_json", is_flag=True, help="Print everything as JSON, and nothing else.")
def gap(
    data: str,
    models: tuple[str, ...],
    adapters: tuple[str, ...],
    assignments: tuple[str, ...],
    limit: int,
    metric: str,
    examples: int,
    pool: str | None,
    suggest: int | None,
    out: Path | None,
    as_json: bool,
    **flags: Any,
) -> None:
    """Say where a model, or an adapter, fails on the validation rows of DATA.

    By class, capability, length, file and kind of error, with examples. With --pool, the rows of POOL that would
    address the gap best are chosen. Test rows are not looked at, but for leaving out of the choice what they ask.
    """
    import json

    from graftlm.contracts.errors import Interrupted, UsageError
    from graftlm.contracts.serial import to_builtins
    from graftlm.judging.gaps.gap import measure
    from graftlm.running.stopping import interrupted
    from graftlm_registry.plugins import registry

    from .gap_report import gap_text, next_text, suggestion_text
    from .judging_options import judged_config
    from .progress import Progress

    for name, number, least in (("limit", limit, 1), ("examples", examples, 0), ("suggest", suggest, 1)):
        if number is not None and number < least:
            raise UsageError(f"--{name} must be at least {least}")
    if pool is None and (suggest is not None or out is not None):
        raise UsageError("--suggest and --out are for rows of a pool: give --pool POOL too")
    if out is not None:
        _refuse_out(out)
    config = judged_config(data, flags, assignments)
    subject = _subject(config, models, adapters)
    offered = None if pool is None else _offered(config, pool, subject)  # its faults come before the work
    try:
        with Progress(quiet=as_json) as progress:
            measured = measure(subject, registry(), progress.on_event, limit=limit, metric=metric)
    except (Interrupted, KeyboardInterrupt) as stop:
        error = interrupted(stop) if isinstance(stop, KeyboardInterrupt) else stop
        error.args = (f"{error}; what was answered is kept, and the same command goes on",)
        raise error from None
    if not as_json:
        click.echo(gap_text(measured, examples))
    found: tuple[Suggested, ...] = ()
    if offered is not None:
        from graftlm.judging.gaps.pool import drawn_splits, suggested, write_suggested

        drawn = drawn_splits(subject.plan)
        inputs, reading, candidates = offered
        found = suggested(measured, candidates, suggest)
        if out is not None:
            write_suggested(inputs, reading, found, out)
        if not as_json:
            click.echo("\n" + suggestion_text(measured, candidates, found, out, drawn))
    if as_json:
        said = {"gap": to_builtins(measured)}
        if offered is not None:
            said["pool"] = _without_candidates(offered[2])
            said["suggested"] = to_builtins(found)
            said["out"] = str(out) if out else None
            said["next"] = next_text(measured.data, drawn)
        click.echo(json.dumps(said))


def _subject(config: RunConfig, models: tuple[str, ...], adapters: tuple[str, ...]) -> Subject:
    """The one that is judged."""
    from dataclasses import replace

    from graftlm.contracts.errors import UsageError
    from graftlm.judging.subjects import of_base, of_stored
    from graftlm_registry.plugins import registry

    if len(models) + len(adapters) != 1:
        raise UsageError(
            "'gap' looks at one model or one adapter at a time (an adapter knows its base): give "
            "one --model M or one --adapter NAME"
        )
    if adapters:
        return of_stored(adapters[0], config, registry())
    return of_base(replace(config, model=models[0]), registry())


def _offered(config: RunConfig, pool: str, subject: Subject) -> tuple[Inputs, Reading, Pool]:
    """The pool, and how it is read."""
    from graftlm.judging.gaps.pool import fingerprints, read_pool
    from graftlm_registry.plugins import registry

    from .data.reading import ReadingOptions, find_inputs, how_to_read

    offline = bool(config.offline)
    inputs = find_inputs(pool, "", offline)
    reading = how_to_read(inputs, ReadingOptions(config.format or "auto", config.columns or "", "", offline))
    return inputs, reading, read_pool(inputs, reading, fingerprints(subject.plan, registry()))


def _refuse_out(out: Path) -> None:
    """What the writer would say when all the work is done."""
    import os

    from graftlm.contracts.errors import UsageError
    from graftlm.data.containers import kind_of
    from graftlm.data.containers.writing import ENDINGS, WRITTEN

    kind = kind_of(out)
    if kind is None or kind.content not in WRITTEN:
        raise UsageError(f"{out} is of no kind that can be written: give an --out that ends in {ENDINGS}")
    if os.path.lexists(out):
        raise UsageError(f"{out} exists already: give another --out")
    if not out.parent.is_dir():
        raise UsageError(f"there is no folder {out.parent} for {out.name}: make it, or give another --out")


def _without_candidates(pool: Pool) -> dict[str, Any]:
    return {
        "reference": pool.reference, "rows": pool.rows, "in_data": pool.in_data, "repeated": pool.repeated,
        "candidates": len(pool.candidates),
    }  # fmt: skip
