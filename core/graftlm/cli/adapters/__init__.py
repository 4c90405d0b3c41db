"""``graftlm adapters``: what is kept, and what can be done with it."""

from __future__ import annotations

import click

from graftlm.cli.lazy import LazyGroup

COMMANDS = {
    "list": ("graftlm.cli.adapters.list:list_", "Every version of every adapter, or those that are asked for"),
    "show": ("graftlm.cli.adapters.show:show", "All that is known of one"),
    "diff": ("graftlm.cli.adapters.diff:diff", "What is different between two"),
    "log": ("graftlm.cli.adapters.log:log", "The versions of a name, and what they come from"),
    "tag": ("graftlm.cli.adapters.tag:tag", "Give a version a name of its own, such as 'best'"),
    "note": ("graftlm.cli.adapters.note:note", "Write something down about one"),
    "path": ("graftlm.cli.adapters.path:path", "The folder of its files"),
    "rm": ("graftlm.cli.adapters.rm:rm", "Remove a version"),
    "restore": ("graftlm.cli.adapters.restore:restore", "Bring a removed version back"),
    "merge": ("graftlm.cli.adapters.merge:merge", "Write it and its base as one model"),
    "combine": ("graftlm.cli.adapters.combine:combine", "Make one adapter of several"),
    "import": ("graftlm.cli.adapters.import_:import_", "Keep an adapter that another tool made"),
    "export": ("graftlm.cli.adapters.export:export", "Write one as a PEFT folder, an archive, or for Ollama"),
    "push": ("graftlm.cli.adapters.push:push", "Copy one to a hub, or to any storage"),
    "pull": ("graftlm.cli.adapters.pull:pull", "Get one from a hub, or from any storage"),
}


@click.group(cls=LazyGroup, commands_by_name=COMMANDS)
def adapters() -> None:
    """Find, compare, combine and move the adapters that are kept.

    NAME is the newest version of an adapter, NAME@3 its third, and NAME@TAG the one that has the tag.
    """
