"""``graftlm config import-llamafactory RUN.yaml``"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import click

from graftlm.api import UsageError

from .convert import convert, read_run, write_run
from .imported import Imported

FILE = click.Path(dir_okay=False, path_type=Path)


@click.command("import-llamafactory")
@click.argument("run", type=FILE, metavar="RUN.yaml")
@click.option("--dataset-info", type=FILE, metavar="FILE", help="The dataset_info.json of the run's data sets.")
@click.option("--out", type=FILE, default=Path("run.yaml"), show_default=True, metavar="FILE", help="What to write.")
@click.option("--force", is_flag=True, help="Write over FILE where it is there.")
def import_llamafactory(run: Path, dataset_info: Path | None, out: Path, force: bool) -> None:
    """Turn a LLaMA-Factory run file into one of graftlm's.

    What the file leaves to LLaMA-Factory's defaults is written down, for graftlm has others. Every key that has no
    counterpart is listed, with why, or what to do instead.
    """
    content = read_run(run)
    if out.exists() and not force:
        raise UsageError(f"{out} is there already: give another --out, or --force")
    result = convert(content, run, dataset_info, out)
    try:
        out.write_text(write_run(result, run), encoding="utf-8")
    except OSError as error:
        raise UsageError(f"{out} cannot be written: {error.strerror}") from None
    click.echo("\n".join(report(result, out)))


def report(result: Imported, out: Path) -> Iterable[str]:
    """What became of each key, as lines."""
    yield f"{len(result.taken)} keys taken"
    yield from _table(result.taken.items())
    if result.defaults:
        yield ""
        yield "LLaMA-Factory's defaults, written down"
        yield f"  {', '.join(result.defaults)}"
    yield ""
    yield f"{len(result.left)} keys have no counterpart"
    yield from _table(result.left.items())
    if result.remarks:
        yield ""
        yield "What differs"
        yield from (f"  {remark}" for remark in result.remarks)
    yield ""
    data = "" if "data" in result.settings else "DATA "
    yield f"written to {out}: 'graftlm plan {data}--config {out}' shows what it does"


def _table(rows: Iterable[tuple[str, str]]) -> Iterable[str]:
    rows = list(rows)
    width = max((len(key) for key, _ in rows), default=0)
    return (f"  {key:<{width}}  {what}" for key, what in rows)
