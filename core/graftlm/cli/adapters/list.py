"""``graftlm adapters list``."""

from __future__ import annotations

import click

from graftlm_registry.adapters.search import ORDERS

FILTERS = (
    ("--name", "PATTERN", "Of these names; * and ? stand for anything."),
    ("--base", "MODEL", "On this base model."),
    ("--tag", "TAG", "With this tag."),
    ("--family", "NAME", "Of this model family."),
    ("--method", "NAME", "Trained by this method."),
    ("--template", "NAME", "With this prompt template."),
    ("--quantization", "NAME", "On a base that was quantized so."),
    ("--since", "TIME", "Made since then, in UTC: 2026-11-01, or 2026-11-01T12:00."),
)


@click.command("list")
@click.option(
    "--kind",
    type=click.Choice(("adapter", "overlay")),
    help="adapter: added to a base, as LoRA is; overlay: weights of the base that full or freeze changed.",
)
@click.option("--origin", type=click.Choice(("trained", "imported", "combined")), help="How it came to be.")
@click.option("--newest", is_flag=True, help="The newest version of each name only.")
@click.option(
    "--sort", default="name", show_default=True, type=click.Choice(tuple(ORDERS)), help="The best or most first."
)
@click.option("--limit", type=click.IntRange(1), metavar="N", help="The first N of them.")
@click.option("--json", "as_json", is_flag=True, help="Print the records, with their tags, as a JSON list.")
def list_(
    kind: str | None, origin: str | None, newest: bool, sort: str, limit: int | None, as_json: bool, **asked: str | None
) -> None:
    """Every version of every adapter, or those that are asked for."""
    from graftlm_registry.adapters import open_store
    from graftlm_registry.adapters.index import as_json as records_json
    from graftlm_registry.adapters.index import opened
    from graftlm_registry.adapters.search import Search

    asked["since"] = _moment(asked["since"]) if asked["since"] else ""
    search = Search(
        kind=kind or "", origin=origin or "", newest=newest, sort=sort, limit=limit or 0,
        **{name: value or "" for name, value in asked.items()},
    )  # fmt: skip
    with opened(open_store().layout) as index:
        found, tags = index.find(search), index.tags()
        for why in index.damaged():
            click.echo(f"Warning: {why}", err=True)
        if as_json:
            click.echo(records_json(index, found, tags))
            return
        if not found:
            more = "" if search == Search(sort=sort) else " like that: graftlm adapters list shows all"
            click.echo(f"no adapters{more or ' yet: graftlm train DATA --model M, or graftlm demo'}")
            return
    from .summary_table import summary_table

    click.echo(summary_table(found, tags))


def _moment(text: str) -> str:
    """A date or a time, which is UTC where it names no zone, as records have it."""
    from datetime import UTC, datetime

    from graftlm.contracts.errors import UsageError

    try:
        found = datetime.fromisoformat(text)
        found = found.astimezone(UTC) if found.tzinfo else found.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        raise UsageError(f"--since {text}: give a date or a time, such as 2026-11-01 or 2026-11-01T12:00") from None
    return found.isoformat(timespec="seconds")


for _flag, _word, _help in FILTERS:
    list_ = click.option(_flag, metavar=_word, help=_help)(list_)
