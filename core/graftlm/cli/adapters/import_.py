"""``graftlm adapters import``."""

from __future__ import annotations

import click


@click.command("import")
@click.argument("source")
@click.option("--name", metavar="NAME", help="What to call it.  [default: its record's name, or the folder's]")
@click.option("--base", metavar="MODEL", help="Its base model.  [default: the one that it names]")
@click.option("--template", metavar="NAME", help="The prompt template that it was trained with.")
@click.option("--json", "as_json", is_flag=True, help="Print the record as JSON.")
def import_(source: str, name: str | None, base: str | None, template: str | None, as_json: bool) -> None:
    """Keep an adapter that another tool made: a PEFT folder, an archive of one, or hf:OWNER/NAME.

    Its files are checked byte by byte, and nothing of them is executed. Then its base is loaded, to prove that it fits
    and what it changes. What graftlm exported comes with its record, and is not proved again.
    """
    from graftlm.contracts.serial import to_json
    from graftlm.sharing.bring_in import bring
    from graftlm_registry.plugins import registry

    from ..progress import Progress

    with Progress(quiet=as_json) as progress:
        done = bring(source, registry(), progress.on_event, name=name or "", base=base or "", template=template or "")
    if as_json:
        click.echo(to_json(done.record))
        return
    for note in done.notes:
        click.echo(f"note: {note}", err=True)
    record = done.record
    kept = "kept as" if done.new else "it is here already as"
    click.echo(f"{kept} {record.reference}: {record.method} on {record.base.name}, template {record.template}")
    if done.proved:
        click.echo(
            f"proved: {record.effective.adapted_layers} layers adapted, it changes the logits by up to "
            f"{record.proof.effect:.3g}"
        )
    click.echo(f"graftlm chat {record.name}    graftlm adapters show {record.name}")
