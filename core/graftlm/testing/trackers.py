"""What is asked of a tracker: every step once, with its figures, whatever happens to the process that tells them."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from abc import abstractmethod
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, ClassVar

from graftlm.contracts.config import RunConfig
from graftlm.contracts.plan import Plan
from graftlm.contracts.serial import to_json
from graftlm.planning.resolve import resolve
from graftlm.running.tracking import FIGURES, Trackers
from graftlm.running.train import carry_out
from graftlm_registry.plugins import registry
from graftlm_registry.runs import Run, make_run

from .in_process import start_in_process
from .numbers import near
from .suite import Suite
from .surroundings import variable

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


class TrackerSuite(Suite):
    """Subclass, name the tracker, and read back what it was told, through its library's own reader."""

    kind = "tracker"
    needs = ("read",)
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

    @abstractmethod
    def read(self, run: Run) -> Told:
        """What it knows of the run."""
        raise NotImplementedError

    _shared: ClassVar[ExitStack]
    _place: ClassVar[Path]

    @classmethod
    def setup_class(cls) -> None:
        """One home for all that is asked of a tracker: what this machine is needs finding out once."""
        cls._shared = ExitStack()
        cls._place = Path(
            cls._shared.enter_context(TemporaryDirectory(prefix="graftlm-suite-", ignore_cleanup_errors=True))
        )
        cls._shared.enter_context(variable("GRAFTLM_HOME", str(cls._place / "graftlm")))

    @classmethod
    def teardown_class(cls) -> None:
        cls._shared.close()

    def setup_method(self) -> None:
        self.folder = self._place
        self.warnings: list[str] = []

    def teardown_method(self) -> None:
        """The home stays until the last check."""

    def plan(self) -> Plan:
        """A short run of a tiny model that is scored."""
        self.needs_it_to_run()
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

    def test_it_is_told_of_a_run(self) -> None:
        plan = self.plan()
        assert not plan.problems, f"a plan with it cannot be carried out: {'; '.join(plan.problems)}"
        trained = carry_out(plan, registry(), self.on_event, start=start_in_process)
        told, outcome = self.read(Run(trained.run)), trained.outcome
        self.quiet()
        self.same(list(told.of("loss").values()), list(outcome.losses), "the losses of a run")
        self.same(told.of("validation_loss"), dict(outcome.validation), "the validation losses of a run")
        for name in TOLD:
            steps = list(told.of(name))
            assert steps == [1, 2, 3, 4, 5, 6], f"of {name} it has the steps {steps}, and six were done"
        self.same(told.of("tokens")[6], outcome.tokens, "the tokens of six steps")
        assert told.state == "done", f"a run is done, and it says {told.state!r}"
        self.same(told.results.get("final_loss", 0.0), outcome.losses[-1], "the last loss")
        scored = {f"{s.evaluation}/{s.metric}/{s.moment}": s.value for s in outcome.scores}
        assert scored, "the run was not scored"
        lacks = sorted(scored.keys() - told.results.keys())
        assert not lacks, f"it was not told the score {', '.join(lacks[:3])}"
        self.same({name: told.results[name] for name in scored}, scored, "the scores")

    def same(self, found: Any, wanted: Any, about: str) -> None:
        assert near(found, wanted, rel=self.tolerance), f"{about} are {wanted}, and it has {found}"

    def quiet(self) -> None:
        assert not self.warnings, f"it was left out, or warned: {'; '.join(self.warnings)}"

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
        self.quiet()
        self.holds(run, 10)

    def test_steps_that_are_done_again_are_there_once(self) -> None:
        """A process was killed after seven steps, and the state of the fourth is all that is left."""
        for seconds in self.killed_after:
            run = self.run()
            command = [sys.executable, "-c", KILLED, str(run.folder), str(seconds)]
            alone = {name: value for name, value in os.environ.items() if name not in self.shared}
            done = subprocess.run(command, check=False, capture_output=True, text=True, env=alone)
            assert done.returncode == -9, f"the process that was to be killed ended by itself: {done.stderr[-300:]}"
            checkpoint(run, 4)
            again = self.trackers(run)
            tell(run, again, range(5, 11))
            again.finish("done")
            self.quiet()
            self.holds(run, 10)

    def holds(self, run: Run, steps: int) -> None:
        told = self.read(run)
        assert told.state == "done", f"the run is done, and it says {told.state!r}"
        for name in TOLD:
            wanted = {step: figures(step)[FIGURES[name]] for step in range(1, steps + 1)}
            found = told.of(name)
            assert list(found) == list(wanted), f"of {name} it has the steps {list(found)}, not {list(wanted)}"
            self.same(found, wanted, f"the figures of {name}")

    def test_it_is_told_how_a_run_ends(self) -> None:
        for state in ("stopped", "failed"):
            run = self.run()
            trackers = self.trackers(run)
            tell(run, trackers, range(1, 3))
            trackers.finish(state)
            found = self.read(run).state
            assert found == state, f"the run is {state}, and it says {found!r}"
        self.quiet()

    def test_figures_that_are_no_numbers_do_not_end_it(self) -> None:
        run = self.run()
        trackers = self.trackers(run)
        for step, norm in enumerate((1.0, math.inf, math.nan, 2.0), start=1):
            trackers.on_event({**figures(step), "gradient_norm": norm})
        trackers.finish("done")
        self.quiet()
        steps = list(self.read(run).of("loss"))
        assert steps == [1, 2, 3, 4], f"one figure was no number, and of the losses it has the steps {steps} of four"

    def test_where_it_cannot_work_the_run_goes_on(self) -> None:
        """Its folder is a file: it fails, or does without."""
        run = self.run()
        (run.folder / "trackers").write_text("in the way", encoding="utf-8")
        trackers = self.trackers(run)
        tell(run, trackers, range(1, 4))
        trackers.finish("done")
        words = f"tracker {self.tracker} is left out"
        assert len(self.warnings) == 1 and words in self.warnings[0], (
            f"its folder is a file, and the run's warnings are {self.warnings}: it must fail once, or do without"
        )


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
