"""``graftlm envs rm``."""

from __future__ import annotations

import shutil

import click


@click.command()
@click.argument("name")
def rm(name: str) -> None:
    """Remove an environment. Adapters that were trained in it stay."""
    from graftlm.cli.tables import size
    from graftlm.contracts.errors import PluginError
    from graftlm.environments.declared import declared
    from graftlm.environments.lock import alone
    from graftlm.environments.manifest import forget, read_manifest
    from graftlm.environments.places import folder_of
    from graftlm_registry.home import home
    from graftlm_registry.plugins import registry
    from graftlm_registry.suggestions import unknown

    kept = [p.name for p in (home() / "envs").glob("[!.]*") if p.is_dir()]
    if name not in kept:
        if name in declared(registry()):
            raise PluginError(f"environment '{name}' is not made: there is nothing to remove")
        raise PluginError(unknown("environment", name, kept))
    folder, manifest = folder_of(name), read_manifest(name)
    with alone(folder):
        forget(name)  # from here on nobody takes it for a whole one
        shutil.rmtree(folder)
    (home() / "envs" / f"{name}.log").unlink(missing_ok=True)
    click.echo(f"removed {name}" + (f", {size(manifest.bytes)}" if manifest else ""))
