"""A group that plugins add commands to."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module
from typing import TYPE_CHECKING, Any

import click

from .lazy import LazyGroup

if TYPE_CHECKING:
    from graftlm.contracts.command import Command


class OpenGroup(LazyGroup):
    """The built-in commands, then those that plugins put under ``noun`` (looked for only where a name is not built in,
    or where ``listed`` are all).
    """

    def __init__(self, *args: Any, noun: str = "", listed: bool = False, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._noun, self._listed = noun, listed

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        return super().get_command(ctx, cmd_name) or self._contributed(cmd_name)

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [*super().list_commands(ctx), *(spec.name for spec in self._specs() if self._listed)]

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        super().format_commands(ctx, formatter)
        if self._listed and (rows := [(spec.name, spec.summary) for spec in self._specs()]):
            with formatter.section("From plugins"):
                formatter.write_dl(rows)

    def _contributed(self, name: str) -> click.Command | None:
        for spec in self._specs():
            if name in (spec.name, *spec.aliases):
                module, _, attribute = spec.target.partition(":")
                command: click.Command = getattr(import_module(module), attribute)
                return command
        return None

    def _specs(self) -> Iterator[Command]:
        from graftlm.contracts.command import Command
        from graftlm_registry.plugins import registry

        return (spec for spec in registry().all(Command) if spec.group == self._noun)
