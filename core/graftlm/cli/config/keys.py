"""``graftlm config keys``."""

from __future__ import annotations

import click


@click.command()
def keys() -> None:
    """Every key of a run's file, as YAML with the defaults; each is a flag of 'train' and 'plan' too."""
    from textwrap import wrap

    import yaml

    from graftlm.contracts.config import SETTINGS

    groups = dict.fromkeys(metadata["group"] for metadata in SETTINGS.values())
    for group in groups:
        click.echo(click.style(f"# {group}", bold=True))
        for name, metadata in SETTINGS.items():
            if metadata["group"] != group:
                continue
            choices = f" ({', '.join(metadata['choices'])})" if metadata["choices"] else ""
            for line in wrap(f"{metadata['help']}{choices}", 100):
                click.echo(f"#   {line}")
            value = metadata["default"]
            shown = yaml.safe_dump(value).splitlines()[0] if value is not None else ""
            click.echo(f"{'' if shown else '# '}{name.replace('_', '-')}: {shown}".rstrip())
        click.echo()
    click.echo("# Options of plugins: kind, name, value (graftlm plugins show NAME lists them)")
    click.echo("# options:\n#   method: {use_rslora: true}")
