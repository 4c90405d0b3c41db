"""The pages of commands: what each says of itself when it is asked for help, at 100 columns."""

from __future__ import annotations

from collections.abc import Iterator

import click

from graftlm.cli import COMMANDS, cli
from reference.markdown import MADE, table

WIDTH = 100


def command_pages() -> Iterator[tuple[str, str]]:
    """A page for each command, and one that lists them."""
    root = _context(cli, "graftlm", None)
    listed = [(f"[`{name}`]({name}.md)", summary) for name, (_, summary) in COMMANDS.items()]
    names = "\n".join(COMMANDS)
    yield (
        "commands/index.md",
        f"{_made()}# Commands\n\n`graftlm VERB DATA --model M` for what works on data, `graftlm NOUN VERB` for what is "
        f"kept. The same flag means the same in every command.\n\n{table(('command', 'what it does'), listed)}\n"
        f"```{{toctree}}\n:hidden:\n\n{names}\n```\n\n## graftlm\n\n{_help(root)}",
    )
    for name in COMMANDS:
        yield f"commands/{name}.md", _made() + "\n".join(_sections(root, name, 1))


def _made() -> str:
    return MADE.format(source="the commands' own --help")


def _sections(parent: click.Context, name: str, depth: int) -> Iterator[str]:
    assert isinstance(parent.command, click.Group)
    command = parent.command.get_command(parent, name)
    assert command is not None
    context = _context(command, name, parent)
    yield f"{'#' * depth} {context.command_path}\n\n{_help(context)}"
    if isinstance(command, click.Group):
        for each in command.list_commands(context):
            yield from _sections(context, each, depth + 1)


def _context(command: click.Command, name: str, parent: click.Context | None) -> click.Context:
    command._help_option = None  # click keeps it from its first use, which may have been outside of graftlm: without -h
    shape = command.context_settings | {"terminal_width": WIDTH, "max_content_width": WIDTH}
    return click.Context(command, info_name=name, parent=parent, **shape)


def _help(context: click.Context) -> str:
    lines = (line.rstrip() for line in context.get_help().splitlines())
    return "```text\n" + "\n".join(lines) + "\n```\n"
