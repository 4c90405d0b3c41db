"""``wandb``: Weights & Biases, online or offline, through its own library."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from graftlm.api import Option, Requirement, Tracker, hookimpl

from .wandb_log import last_step, wait_for_the_end

if TYPE_CHECKING:
    from graftlm.api import TrackedRun

AUTO = "auto"
PATIENCE = 25.0
"""Seconds that its beginning and its end may take: less than graftlm waits, for a process does not end before W&B does.
"""


class WandbTracking:
    """A run of W&B with the run's name as its id: a run that goes on is the same run there. What W&B has of a step
    cannot be taken back, so that a step that is done again stays as it was first told.
    """

    def __init__(self, run: TrackedRun) -> None:
        _quiet()
        import wandb

        options = run.options
        self._run = wandb.init(
            project=options["project"] or None,
            entity=options["entity"] or None,
            group=options["group"] or None,
            tags=list(options["tags"]) or None,
            mode=None if options["mode"] == AUTO else options["mode"],
            id=run.name,
            name=f"{run.adapter} {run.name}",
            config=dict(run.settings),
            dir=str(run.folder),
            resume="allow",
            reinit="create_new",  # a run of the user's own in this process stays
            settings=wandb.Settings(
                silent=True,
                console="off",
                disable_git=True,
                disable_code=True,
                init_timeout=float(os.environ.get("WANDB_INIT_TIMEOUT", PATIENCE)),
                finish_timeout=PATIENCE,
                allow_val_change=True,
            ),
        )
        self.held = self._run.starting_step - 1 if self._run.resumed else last_step(run.folder)

    def step(self, step: int, values: Mapping[str, float]) -> None:
        self._run.log(dict(values), step=step)

    def finish(
        self, state: Literal["done", "stopped", "failed"], results: Mapping[str, float], files: Sequence[Path]
    ) -> None:
        self._run.summary.update({**results, "state": state})
        for path in files:
            shown = Path(self._run.dir) / path.name
            shutil.copyfile(path, shown)
            self._run.save(str(shown), base_path=self._run.dir, policy="now")
        if state == "stopped":  # it is going to go on
            self._run.mark_preempting()
        self._run.finish(exit_code=0 if state == "done" else 1)
        if self._run.offline:
            wait_for_the_end(Path(self._run.settings.sync_file), PATIENCE)


def _quiet() -> None:
    """No reports of its own errors to its makers; and nothing printed where a line of progress moves, unless W&B is
    the user's own business in this process.
    """
    os.environ.setdefault("WANDB_ERROR_REPORTING", "false")
    if "wandb" not in sys.modules:
        os.environ.setdefault("WANDB_SILENT", "true")


def check(options: Mapping[str, Any]) -> Sequence[str]:
    """Without a key it would ask for one on the terminal, in the middle of a run."""
    mode = options["mode"] if options["mode"] != AUTO else os.environ.get("WANDB_MODE", "online")
    known = ("WANDB_API_KEY", "WANDB_IDENTITY_TOKEN_FILE")
    if mode != "online" or any(os.environ.get(name) for name in known) or _has_netrc():
        return ()
    return (
        "is not logged in: run 'wandb login', set WANDB_API_KEY, or keep its files here with --set "
        "tracker.mode=offline ('wandb sync' sends them later)",
    )


def _has_netrc() -> bool:
    """``wandb login`` writes there, for whatever server."""
    named = os.environ.get("NETRC")
    paths = [Path(named)] if named else [Path.home() / name for name in (".netrc", "_netrc")]
    return any(path.is_file() for path in paths)


@hookimpl
def graftlm_trackers() -> Iterable[Tracker]:
    yield Tracker(
        name="wandb",
        summary="Weights & Biases",
        target="graftlm_plugins.trackers.wandb:WandbTracking",
        requires=(Requirement(distribution="wandb", minimum="0.31", below="1", extra="trackers"),),
        check=check,
        options=(
            Option(name="project", type="str", default="graftlm", help="the project (empty: as WANDB_PROJECT says)"),
            Option(name="entity", type="str", default="", help="the user or the team (empty: your own)"),
            Option(
                name="mode",
                type="str",
                default=AUTO,
                choices=(AUTO, "online", "offline", "disabled"),
                help="offline keeps its files in the run's folder (auto: as WANDB_MODE says, else online)",
            ),
            Option(name="group", type="str", default="", help="runs of one group are shown together"),
            Option(name="tags", type="list", default=(), help="its tags, written with commas"),
        ),
    )
