"""``acme``: a run's figures as lines of JSON in the run's folder."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from graftlm.api import Option, Tracker, hookimpl

if TYPE_CHECKING:
    from graftlm.api import TrackedRun

END = "end.json"


class AcmeTracking:
    """Made when a run begins and when it goes on, in the process that supervises it (without torch), in a thread of its
    own: it may take its time, and an error of it is a warning of the run.
    """

    def __init__(self, run: TrackedRun) -> None:
        """``held`` is the last step that is there already: every later one comes once. A process that was killed may
        have told steps that the run does again, and may have left half a line: both are taken back.
        """
        self._folder = run.folder
        self._path = run.folder / run.options["file"]
        kept = [line for line in lines(self._path) if line["step"] <= run.resumed_after]
        fresh = self._path.with_suffix(".part")
        fresh.write_text("".join(json.dumps(line) + "\n" for line in kept), encoding="utf-8")
        fresh.replace(self._path)
        self.held = max((line["step"] for line in kept), default=0)

    def step(self, step: int, values: Mapping[str, float]) -> None:
        """The figures of an optimizer step, by name."""
        line = {"step": step, **{name: number(value) for name, value in values.items()}}
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")

    def finish(
        self, state: Literal["done", "stopped", "failed"], results: Mapping[str, float], files: Sequence[Path]
    ) -> None:
        """The run ends, or ends for now: its state, and the results of the whole run where it is done."""
        told = {"state": state, "results": {name: number(value) for name, value in results.items()}}
        (self._folder / END).write_text(json.dumps(told), encoding="utf-8")


def lines(path: Path) -> list[dict[str, Any]]:
    """Those that were written whole."""
    if not path.is_file():
        return []
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines(keepends=True) if line[-1] == "\n"]


def number(value: float) -> float | str:
    """JSON has no infinity and no NaN: they are texts, which ``float`` reads back."""
    return value if math.isfinite(value) else str(value)


@hookimpl
def graftlm_trackers() -> Iterable[Tracker]:
    yield Tracker(
        name="acme",
        summary="a line of JSON a step in RUN/trackers/acme",
        target="graftlm_acme:AcmeTracking",
        # Given as --set tracker.file=NAME; the values are in run.options.
        options=(Option(name="file", type="str", default="steps.jsonl", help="name of the file with the steps"),),
        suite="graftlm_acme.conformance:AcmeSuite",
    )
