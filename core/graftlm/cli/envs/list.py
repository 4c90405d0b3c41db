"""``graftlm envs list``."""

from __future__ import annotations

import json

import click


@click.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON list.")
def list_(as_json: bool) -> None:
    """The environments that backends and evaluators declare, and whether each can be used."""
    from graftlm.cli.tables import size, table
    from graftlm.environments.declared import declared
    from graftlm.environments.state import state_of
    from graftlm_registry.plugins import registry

    states = [state_of(one, registry()) for one in declared(registry()).values()]
    if as_json:
        rows = [
            {
                "name": s.name, "backends": s.declared.backends,
                "evaluators": s.declared.evaluators, "state": s.kind, "why": s.why,
                "download_mb": s.declared.environment.download_mb, "bytes": s.manifest.bytes if s.manifest else 0,
            }
            for s in states
        ]  # fmt: skip
        click.echo(json.dumps(rows))
        return
    rows_ = [
        (
            s.name,
            s.declared.users,
            f"{s.kind}: {s.why}" if s.why else s.kind,
            size(s.manifest.bytes) if s.manifest else f"{s.declared.environment.download_mb} MB to download",
            s.manifest.created[:16].replace("T", " ") if s.manifest else "",
        )
        for s in states
    ]
    click.echo(table(rows_, ("environment", "for", "state", "size", "made (UTC)")))
    if any(s.kind != "ready" for s in states):
        click.echo("\nmake one with: graftlm envs create NAME (torch is shared with this environment where it fits)")
