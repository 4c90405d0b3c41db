"""``graftlm envs show``."""

from __future__ import annotations

import click


@click.command()
@click.argument("name")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object.")
@click.option("--lock", is_flag=True, help="Print what is installed there, as lines for pip.")
def show(name: str, as_json: bool, lock: bool) -> None:
    """What an environment requires, and what is installed there."""
    from graftlm.cli.tables import size, table
    from graftlm.contracts.errors import PluginError
    from graftlm.contracts.serial import to_json
    from graftlm.environments.declared import find
    from graftlm.environments.places import folder_of
    from graftlm.environments.state import state_of
    from graftlm_registry.plugins import registry

    state = state_of(find(name, registry()), registry())
    environment, made = state.declared.environment, state.manifest
    if lock:
        if made is None:
            raise PluginError(f"environment '{name}' {state.told}")
        click.echo("\n".join(f"{package}=={version}" for package, version in made.packages.items()))
        return
    if as_json:
        said = {"environment": environment, "state": state.kind, "why": state.why, "manifest": made}
        click.echo(to_json(said).decode())
        return
    rows = [
        ("environment", name),
        ("for", state.declared.users),
        ("state", f"{state.kind}: {state.why}" if state.why else state.kind),
        ("requires", ", ".join(environment.requirements)),
        ("overrides", ", ".join(environment.overrides) or "nothing"),
        ("Python", environment.python),
        ("variables", ", ".join(f"{k}={v}" for k, v in environment.variables.items()) or "none"),
        ("to download", f"about {environment.download_mb} MB, torch aside"),
    ]
    if made is not None:
        watched = ("torch", "transformers", "peft", "trl", "accelerate", *environment.name.split())
        versions = {p: made.version(p) for p in dict.fromkeys(watched) if made.version(p)}
        rows += [
            ("folder", str(folder_of(name))),
            ("made", f"{made.created} with {made.installer} in {made.seconds:.0f} s"),
            ("size", f"{size(made.bytes)}, torch {made.torch}"),
            ("packages", f"{len(made.packages)}: " + ", ".join(f"{p} {v}" for p, v in versions.items())),
            ("lock", made.lock),
        ]
    click.echo(table(rows))
