"""``graftlm runs``: runs that go on, that are finished, and that can be gone on with."""

from __future__ import annotations

import click

from graftlm.cli.lazy import LazyGroup

COMMANDS = {
    "list": ("graftlm.cli.runs.list:list_", "Every run, the newest first: its state, and how far it is"),
    "show": ("graftlm.cli.runs.show:show", "All that is known of one, and what to do with it"),
    "resume": ("graftlm.cli.runs.resume:resume", "Go on with one that was stopped, failed or was killed"),
    "stop": ("graftlm.cli.runs.stop:stop", "Stop one that is running, so that it can be gone on with"),
    "logs": ("graftlm.cli.runs.logs:logs", "What one printed, or its events; --follow watches it"),
    "rm": ("graftlm.cli.runs.rm:rm", "Remove the folders of runs; their adapters stay"),
}


@click.group(cls=LazyGroup, commands_by_name=COMMANDS)
def runs() -> None:
    """List, watch, stop and go on with runs, from any terminal.

    RUN is a run's name, a part of it that no other has, the adapter that came of it (NAME@VERSION), or 'last'.
    """
