"""``graftlm templates list``."""

from __future__ import annotations

import json

import click


@click.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print a list of JSON objects.")
def list_(as_json: bool) -> None:
    """The prompt templates that there are: --template NAME takes one."""
    from graftlm.cli.tables import table
    from graftlm.contracts.specs import PromptTemplate
    from graftlm_registry.plugins import registry

    found = []
    for plugin, spec in registry().contributions("template"):
        if isinstance(spec, PromptTemplate):
            can = [word for word, is_so in (("tools", spec.tools), ("thinking", spec.thinking)) if is_so]
            found.append((spec, can, plugin.distribution))
    if as_json:
        described = [
            {"name": s.name, "summary": s.summary, "end_token": s.end_token, "tools": s.tools, "thinking": s.thinking,
             "from": source}
            for s, _, source in found
        ]  # fmt: skip
        click.echo(json.dumps(described, indent=2, ensure_ascii=False))
        return
    rows = [(s.name, s.end_token, " ".join(can) or "-", source, s.summary) for s, can, source in found]
    click.echo(table(rows, ("--template", "ends with", "knows", "from", "what it is")))
