"""``graftlm adapters export``."""

from __future__ import annotations

from pathlib import Path

import click


@click.command()
@click.argument("name")
@click.option(
    "--out", required=True, type=click.Path(path_type=Path), help="A new folder, or with --archive a .tar.gz or .zip."
)
@click.option("--archive", is_flag=True, help="Write one file in the place of a folder.")
@click.option(
    "--as", "form", type=click.Choice(("peft", "ollama")), default="peft", show_default=True, help="For whom."
)
@click.option("--ollama-base", default="", metavar="MODEL", help="What Ollama calls the base: its FROM.")
@click.option("--licence", default="", help="The adapter's licence, such as apache-2.0.  [default: the base's]")
@click.option("--notes", "with_notes", is_flag=True, help="Put the notes that were written on it onto its model card.")
@click.option("--json", "as_json", is_flag=True, help="Print one line of JSON, and nothing else.")
def export(
    name: str, out: Path, archive: bool, form: str, ollama_base: str, licence: str, with_notes: bool, as_json: bool
) -> None:
    """Write NAME as a folder that PEFT reads, with a model card.

    The folder holds NAME's record as well: 'adapters import' on another machine gets it back whole.
    """
    import json
    from typing import cast

    from graftlm.contracts.errors import UsageError
    from graftlm.contracts.serial import to_builtins
    from graftlm.sharing.archive import stem_of
    from graftlm.sharing.export import Form
    from graftlm.sharing.export import export as carry_out
    from graftlm_registry.plugins import registry

    from ..tables import size

    if ollama_base and form != "ollama":
        raise UsageError("--ollama-base goes with --as ollama")
    done = carry_out(
        name,
        out,
        registry(),
        archive=archive,
        licence=licence,
        form=cast(Form, form),
        ollama_base=ollama_base,
        with_notes=with_notes,
    )
    if as_json:
        click.echo(json.dumps(to_builtins(done)))
        return
    click.echo(f"exported {done.adapter} to {done.out} ({size(done.size)}: {', '.join(done.files)})")
    for note in done.notes:
        click.echo(note)
    if done.local:
        click.echo(f"Note: graftlm.json names the base as it was named in training: {done.local}", err=True)
    if done.form == "peft":
        folder = stem_of(out) if archive else done.out
        click.echo(f"any tool: {'unpack it, then ' if archive else ''}PeftModel.from_pretrained(model, {folder!r})")
        click.echo(f"graftlm elsewhere: graftlm adapters import {done.out}")
