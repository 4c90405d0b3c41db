"""What is asked of a tracker: every step once, with its figures, whatever happens to the process that tells them."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import distribution
from pathlib import Path
from typing import Any, ClassVar

import pytest

from graftlm.contracts.config import RunConfig
from graftlm.contracts.plan import Plan
from graftlm.contracts.serial import to_json
from graftlm.contracts.tracking import Tracker
from graftlm.planning.resolve import resolve
from graftlm.running.tracking import FIGURES, Trackers
from graftlm.running.train import carry_out
from graftlm_registry.plugins import registry
from graftlm_registry.runs import Run, make_run

from .in_process import start_in_process

TOLD = tuple(name for name in FIGURES if name != "validation_loss")
"""What every step has."""
KILLED = """
import os, signal, sys, time
from pathlib import Path
from graftlm.running.tracking import Trackers
from graftlm.testing.trackers import tell
from graftlm_registry.plugins import registry
from graftlm_registry.runs import Run

run = Run(Path(sys.argv[1]))
tell(run, Trackers(run, registry(), lambda event: None), range(1, 8))
time.sleep(float(sys.argv[2]))
os.kill(os.getpid(), signal.SIGKILL)
"""


@dataclass(frozen=True)
class Told:
    """What a tracker was told of a run, as its own reader has it: ``figures`` are (step, name, value), as often as they
    are there; ``state`` is how the run ended, or empty; ``results`` those of the whole run.
    """

    figures: Sequence[tuple[int, str, float]]
    state: str = ""
    results: Mapping[str, float] = field(default_factory=dict)

    def of(self, name: str) -> dict[int, float]:
        """Of one figure, by step; fails where a step has it twice."""
        found = [(step, value) for step, each, value in self.figures if each == name]
        twice = [step for step, count in Counter(step for step, _ in found).items() if count > 1]
        assert not twice, f"{name} of steps {twice} is there more than once"
        return dict(found)


class TrackerSuite:
    """Subclass, name the tracker, and read back what it was told, through its library's own reader."""

    tracker: ClassVar[str]
    tolerance: ClassVar[float] = 1e-6
    """Largest relative error of a figure: some keep 32 bits."""
    killed_after: ClassVar[Sequence[float]] = (0.0, 2.0)
    """Seconds after which a process that told seven steps is killed: at once, and when it has written them."""
    shared: ClassVar[Sequence[str]] = ()
    """Environment variables by which its processes know each other: one that is killed must not be another's child."""

    def options(self) -> Mapping[str, Any]:
        """Its options, such as a place under ``self.folder``."""
        return {}

    def read(self, run: Run) -> Told:
        """What it knows of the run."""
        raise NotImplementedError

    folder: ClassVar[Path]

    @pytest.fixture(autouse=True, scope="class")
    def _home(self, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
        """One for all that is asked of a tracker: what this machine is needs finding out once."""
        request.cls.folder = tmp_path_factory.mktemp("tracked")
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("GRAFTLM_HOME", str(request.cls.folder / "graftlm"))
            yield

    @pytest.fixture(autouse=True)
    def _quiet(self) -> None:
        self.warnings: list[str] = []

    def plan(self) -> Plan:
        """A short run of a tiny model that is scored."""
        data = self.folder / "rows.jsonl"
        rows = ({"input": f"Say {i}", "output": ["one", "two", "three", "four"][i % 4]} for i in range(40))
        data.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
        asked: dict[str, Any] = {
            "max_steps": 6, "batch_size": 8, "micro_batch": 8, "dtype": "fp32", "device": "cpu", "retention": False,
            "eval_every": 3, "track": self.tracker, "options": {"tracker": dict(self.options())},
        }  # fmt: skip
        return resolve(RunConfig(data=str(data), model="tiny-mistral", **asked), registry())

    def run(self) -> Run:
        """One that has a plan, and was not begun."""
        run = make_run()
        (run.folder / "plan.json").write_bytes(to_json(self.plan()))
        return run

    def trackers(self, run: Run) -> Trackers:
        return Trackers(run, registry(), self.on_event)

    def on_event(self, event: Mapping[str, Any]) -> None:
        if event["event"] == "warning":
            self.warnings.append(str(event["message"]))

    def test_it_is_known_without_its_library(self) -> None:
        """It is imported when it is chosen, and not before."""
        spec = registry().get(Tracker, self.tracker)
        theirs = {
            path.parts[0].removesuffix(".py")
            for requirement in spec.requires
            for path in distribution(requirement.distribution).files or ()
            if len(path.parts) > 1 and ".dist-info" not in path.parts[0] and ".." not in path.parts
        }
        source = (
            "import sys; from graftlm_registry.plugins import registry; from graftlm.api import Tracker;"
            f"registry().get(Tracker, {self.tracker!r});"
            f"print(*sorted({theirs | {'torch', 'transformers', 'numpy'}!r} & set(sys.modules)))"
        )
        done = subprocess.run([sys.executable, "-c", source], capture_output=True, text=True, check=True)
        assert done.stdout.split() == []

    def test_it_is_told_of_a_run(self) -> None:
        plan = self.plan()
        assert plan.problems == ()
        trained = carry_out(plan, registry(), self.on_event, start=start_in_process)
        told, outcome = self.read(Run(trained.run)), trained.outcome
        assert self.warnings == []
        assert list(told.of("loss").values()) == pytest.approx(outcome.losses, rel=self.tolerance)
        assert told.of("validation_loss") == pytest.approx(dict(outcome.validation), rel=self.tolerance)
        for name in TOLD:
            assert list(told.of(name)) == [1, 2, 3, 4, 5, 6], name
        assert told.of("tokens")[6] == pytest.approx(outcome.tokens, rel=self.tolerance)
        assert told.state == "done"
        assert told.results["final_loss"] == pytest.approx(outcome.losses[-1], rel=self.tolerance)
        scored = {f"{s.evaluation}/{s.metric}/{s.moment}": s.value for s in outcome.scores}
        assert scored
        assert {name: told.results[name] for name in scored} == pytest.approx(scored, rel=self.tolerance)

    def test_a_run_that_goes_on_is_one_run(self) -> None:
        """Stopped after seven steps with the state of the last; then to the end."""
        run = self.run()
        first = self.trackers(run)
        tell(run, first, range(1, 8))
        first.finish("stopped")
        checkpoint(run, 7)
        second = self.trackers(run)
        tell(run, second, range(8, 11))
        second.finish("done")
        assert self.warnings == []
        self.holds(run, 10)

    def test_steps_that_are_done_again_are_there_once(self) -> None:
        """A process was killed after seven steps, and the state of the fourth is all that is left."""
        for seconds in self.killed_after:
            run = self.run()
            command = [sys.executable, "-c", KILLED, str(run.folder), str(seconds)]
            alone = {name: value for name, value in os.environ.items() if name not in self.shared}
            done = subprocess.run(command, check=False, capture_output=True, text=True, env=alone)
            assert done.returncode == -9, done.stderr
            checkpoint(run, 4)
            again = self.trackers(run)
            tell(run, again, range(5, 11))
            again.finish("done")
            assert self.warnings == []
            self.holds(run, 10)

    def holds(self, run: Run, steps: int) -> None:
        told = self.read(run)
        assert told.state == "done"
        for name in TOLD:
            wanted = {step: figures(step)[FIGURES[name]] for step in range(1, steps + 1)}
            assert told.of(name) == pytest.approx(wanted, rel=self.tolerance), name

    def test_it_is_told_how_a_run_ends(self) -> None:
        for state in ("stopped", "failed"):
            run = self.run()
            trackers = self.trackers(run)
            tell(run, trackers, range(1, 3))
            trackers.finish(state)
            assert self.read(run).state == state
        assert self.warnings == []

    def test_figures_that_are_no_numbers_do_not_end_it(self) -> None:
        run = self.run()
        trackers = self.trackers(run)
        for step, norm in enumerate((1.0, math.inf, math.nan, 2.0), start=1):
            trackers.on_event({**figures(step), "gradient_norm": norm})
        trackers.finish("done")
        assert self.warnings == []
        assert list(self.read(run).of("loss")) == [1, 2, 3, 4]

    def test_where_it_cannot_work_the_run_goes_on(self) -> None:
        """Its folder is a file: it fails, or does without."""
        run = self.run()
        (run.folder / "trackers").write_text("in the way", encoding="utf-8")
        trackers = self.trackers(run)
        tell(run, trackers, range(1, 4))
        trackers.finish("done")
        assert len(self.warnings) == 1
        assert f"tracker {self.tracker} is left out" in self.warnings[0]


def figures(step: int) -> dict[str, Any]:
    """A step as a worker tells it."""
    return {
        "event": "metric", "step": step, "steps": 10, "loss": 2.0 / step, "learning_rate": 1e-4 * step,
        "gradient_norm": 0.5 + step, "tokens_per_second": 1000.25 + step, "tokens": 64, "tokens_so_far": 64 * step,
        "memory": 1 << 20,
    }  # fmt: skip


def tell(run: Run, trackers: Trackers, steps: range) -> None:
    """As a worker's events come: they are kept, and handed on."""
    with (run.folder / "events.jsonl").open("a", encoding="utf-8") as file:
        for step in steps:
            file.write(json.dumps(figures(step)) + "\n")
            file.flush()
            trackers.on_event(figures(step))


def checkpoint(run: Run, step: int) -> None:
    """A checkpoint of this step, as far as it is asked for: what is in it is the worker's business."""
    (run.folder / "checkpoints" / f"step-{step:010}").mkdir(parents=True)
