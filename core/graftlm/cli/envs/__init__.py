"""``graftlm envs``: the environments that backends and evaluators have for themselves."""

from __future__ import annotations

import click

from graftlm.cli.lazy import LazyGroup

COMMANDS = {
    "list": ("graftlm.cli.envs.list:list_", "The environments, and whether each can be used"),
    "create": ("graftlm.cli.envs.create:create", "Make one, with graftlm and the plugins in it"),
    "show": ("graftlm.cli.envs.show:show", "What one requires, and what is installed there"),
    "check": ("graftlm.cli.envs.check:check", "Start a worker there, and import what it is for"),
    "rm": ("graftlm.cli.envs.rm:rm", "Remove one"),
}


@click.group(cls=LazyGroup, commands_by_name=COMMANDS)
def envs() -> None:
    """Make and check the environments that some plugins run in.

    A backend, or an evaluator, whose packages exclude those of others has a virtual environment of its own, under
    $GRAFTLM_HOME/envs.
    """
