"""``graftlm envs check``."""

from __future__ import annotations

import click


@click.command()
@click.argument("name")
def check(name: str) -> None:
    """Start a worker in an environment, and import there what it is for."""
    from graftlm.contracts.errors import PluginError
    from graftlm.environments.declared import find
    from graftlm.environments.proof import prove
    from graftlm.environments.state import state_of
    from graftlm_registry.plugins import registry

    state = state_of(find(name, registry()), registry())
    if state.kind != "ready":
        raise PluginError(f"environment '{name}' {state.told}")
    prove(state.interpreter(), state.declared.environment.imports)
    imported = ", ".join(state.declared.environment.imports) or "what it needs"
    click.echo(f"{name} is sound: a worker starts there with this graftlm, and imports {imported}")
