"""``graftlm adapters list|show|path|merge``."""

from __future__ import annotations

from pathlib import Path

import click


@click.group()
def adapters() -> None:
    """List, show and merge the adapters that are kept."""


@adapters.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print the records as a JSON list.")
def list_(as_json: bool) -> None:
    """Every version of every adapter."""
    from graftlm.contracts.serial import to_json
    from graftlm_registry.adapters import open_store

    records = list(open_store().records(lambda error: click.echo(f"Warning: {error}", err=True)))
    if as_json:
        click.echo(to_json(records))
        return
    if not records:
        click.echo("no adapters yet: graftlm train DATA --model M, or graftlm demo")
        return
    from .adapter_table import summary_table

    click.echo(summary_table(records))


@adapters.command()
@click.argument("name")
@click.option("--json", "as_json", is_flag=True, help="Print the record as JSON.")
def show(name: str, as_json: bool) -> None:
    """The record of NAME (its newest version) or NAME@VERSION."""
    from graftlm.contracts.serial import to_json
    from graftlm_registry.adapters import open_store

    store = open_store()
    record = store.get(name)
    if as_json:
        click.echo(to_json(record))
        return
    from graftlm.judging.evaluating import kept_evaluations

    from .adapter_table import evaluations_text, record_text

    click.echo(record_text(record, store.path(record.reference)))
    found = kept_evaluations(record.reference, lambda error: click.echo(f"Warning: {error}", err=True))
    if found:
        click.echo(f"\n{evaluations_text(found)}")


@adapters.command()
@click.argument("name")
def path(name: str) -> None:
    """The folder of NAME's files, as PeftModel.from_pretrained reads them. Do not write there."""
    from graftlm_registry.adapters import open_store

    store = open_store()
    record = store.get(name)
    click.echo(store.path(record.reference))
    if record.kind == "overlay":
        click.echo("Warning: these are weights of the base, no PEFT adapter; 'adapters merge' makes a model", err=True)
    elif record.load.rope is not None:
        click.echo(f"Warning: PEFT does not scale RoPE by itself: load the base with {record.load.rope}", err=True)


@adapters.command()
@click.argument("name")
@click.option("--out", required=True, type=click.Path(path_type=Path), help="A new folder for the whole model.")
@click.option(
    "--dtype", type=click.Choice(("fp32", "bf16", "fp16")), help="Precision of the written weights.  [default: trained]"
)
@click.option("--json", "as_json", is_flag=True, help="Print one line of JSON at the end, and nothing else.")
def merge(name: str, out: Path, dtype: str | None, as_json: bool) -> None:
    """Write NAME and its base as one model.

    Any tool can load it. The base is loaded in 16 or 32 bits, never quantized, and must be the one that the adapter
    was trained on. What is written is loaded again and compared with the adapter.
    """
    import json

    from graftlm.contracts.serial import to_builtins
    from graftlm.running.merge import merge as carry_out
    from graftlm_registry.plugins import registry

    from .progress import Progress

    with Progress(quiet=as_json) as progress:
        merged = carry_out(name, out, registry(), progress.on_event, dtype=dtype or "")
    if as_json:
        click.echo(json.dumps(to_builtins(merged)))
        return
    what = "held-out test questions" if merged.held_out else "prompts (the run's test questions are gone)"
    click.echo(f"merged {merged.adapter} with its base in {merged.dtype}: {merged.out}")
    click.echo(
        f"on {merged.texts} {what} its logits differ by at most {merged.difference:.3g} from those of the adapter on "
        f"that base, which changes the base's by up to {merged.effect:.3g}"
    )
    if merged.trained_on != "none":
        click.echo(f"it was trained on {merged.trained_on} weights, and merged into those that they were made from")
