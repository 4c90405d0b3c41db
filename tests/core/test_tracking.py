"""A run's trackers: chosen in the plan, told while it trains, and never able to hold it back or to fail it."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from conftest import Said

from graftlm.contracts.config import RunConfig
from graftlm.contracts.plan import Plan
from graftlm.contracts.serial import to_json
from graftlm.contracts.spec import Option, Requirement
from graftlm.contracts.tracking import TrackedRun, Tracker
from graftlm.planning.resolve import resolve
from graftlm.running import tracking
from graftlm.running.supervise import supervise
from graftlm.running.tracking import Trackers
from graftlm.running.train import carry_out
from graftlm.testing.in_process import start_in_process
from graftlm.testing.trackers import checkpoint, tell
from graftlm_registry.discovery import Plugin
from graftlm_registry.plugins import Registry, registry
from graftlm_registry.runs import Run, make_run

HERE = "test_tracking"
ASKED: Mapping[str, Any] = {"model": "tiny-falcon", "max_steps": 4, "retention": False, "device": "cpu"}


class Plain:
    """A tracker that keeps what it is told in a list."""

    told: list[Any] = []
    held = 0

    def __init__(self, run: TrackedRun) -> None:
        self.told.append(("begins", run))

    def step(self, step: int, values: Mapping[str, float]) -> None:
        self.told.append((step, values))

    def finish(self, state: str, results: Mapping[str, float], files: Any) -> None:
        self.told.append((state, results, files))


class FailsToBegin(Plain):
    def __init__(self, run: TrackedRun) -> None:
        raise SystemExit("no\nconnection")


class FailsAtAStep(Plain):
    def step(self, step: int, values: Mapping[str, float]) -> None:
        super().step(step, values)
        if step == 2:
            raise OSError(28, "No space left on device")


class FailsAtTheEnd(Plain):
    def finish(self, state: str, results: Mapping[str, float], files: Any) -> None:
        raise RuntimeError("the server is gone")


class NeverEnds(Plain):
    def finish(self, state: str, results: Mapping[str, float], files: Any) -> None:
        time.sleep(3600)


class Slow(Plain):
    def step(self, step: int, values: Mapping[str, float]) -> None:
        time.sleep(0.05)


def with_(*specs: Tracker) -> Registry:
    return Registry([*registry().plugins, Plugin("tried", "tried", "1.0", specs)])


def spec(target: type[Plain], name: str = "tried", **more: Any) -> Tracker:
    return Tracker(name=name, summary="tried", target=f"{HERE}:{target.__name__}", **more)


def planned(data: Path, known: Registry, **settings: Any) -> Plan:
    return resolve(RunConfig(data=str(data), **{**ASKED, **settings}), known)


def unbegun(plan: Plan) -> Run:
    run = make_run()
    (run.folder / "plan.json").write_bytes(to_json(plan))
    return run


@pytest.fixture(autouse=True)
def _forget() -> None:
    Plain.told = []


# The plan


def test_a_tracker_is_a_part_of_the_plan_and_does_not_change_its_hash(home: Path, alpaca: Path) -> None:
    known = with_(spec(Plain, options=(Option(name="page", type="str", default="one", help="where"),)))
    without = planned(alpaca, known)
    tracked = planned(alpaca, known, track="csv+tried", options={"tracker": {"page": "two"}})
    assert [part.name for part in tracked.all_parts("tracker")] == ["csv", "tried"]
    assert {part.why for part in tracked.all_parts("tracker")} == {"asked"}
    assert tracked.options["tracker"] == {"page": "two"}
    assert tracked.problems == ()
    assert tracked.hash == without.hash
    assert not without.all_parts("tracker")
    assert planned(alpaca, known, track="none").hash == without.hash


def test_what_a_tracker_lacks_stands_in_the_plan(home: Path, alpaca: Path) -> None:
    lacking = spec(
        Plain,
        requires=(Requirement(distribution="no-such-tracker", minimum="2", extra="trackers"),),
        check=lambda options: ["is not logged in"],
    )
    plan = planned(alpaca, with_(lacking), track="tried")
    assert plan.problems == (
        "tracker tried: needs no-such-tracker >=2, which is not installed (run: pip install 'graftlm[trackers]')",
        "tracker tried: is not logged in",
    )


@pytest.mark.parametrize(
    ("arguments", "answer"),
    [
        (("--track", "wandbb"), "Did you mean 'wandb'?"),
        (("--track", "csv+csv"), "not a list of different names"),
        (("--track", "tensorboard", "--set", "tracker.foldr=x"), "Did you mean 'folder'?"),
        (("--track", "csv", "--set", "tracker.page=x"), "choose another --track"),
        (("--set", "tracker.project=x"), "none is chosen: give --track"),
        (("--track", "wandb", "--set", "tracker.mode=ofline"), "Did you mean 'offline'?"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_what_cannot_be_tracked_is_a_sentence(
    run: Callable[..., Said], alpaca: Path, arguments: tuple[str, ...], answer: str
) -> None:
    said = run("plan", alpaca, "--model", "tiny-falcon", *arguments)
    assert said.code == 2
    assert answer in said.err


def test_the_plan_and_the_plugins_show_it(run: Callable[..., Said], alpaca: Path) -> None:
    said = run("plan", alpaca, "--model", "tiny-falcon", "--track", "csv")
    assert said.code == 0, said.err
    (line,) = [line.split() for line in said.out.splitlines() if line.startswith("tracker")]
    assert line[:4] == ["tracker", "csv", "asked", "graftlm"]
    said = run(
        "plan", alpaca, "--model", "tiny-falcon", "--track", "csv+wandb", "--set", "tracker.mode=offline", "--set",
        "tracker.project=mine",
    )  # fmt: skip
    assert "tracked        csv; wandb, project mine, mode offline\n" in said.out
    assert "--set tracker.project=" in run("plugins", "show", "tracker/wandb").out


def test_a_comparison_has_no_trackers(run: Callable[..., Said], alpaca: Path) -> None:
    suite = alpaca.with_name("suite.yaml")
    suite.write_text("base: {model: tiny-falcon, track: csv}\n", encoding="utf-8")
    said = run("bench", "run", alpaca, "--config", suite)
    assert said.code == 2
    assert "'track' is not for a comparison" in said.err
    assert "No such option '--track'" in run("compare", alpaca, "--track", "csv").err


# A run


def test_from_the_command_line_to_a_table(run: Callable[..., Said], home: Path, alpaca: Path) -> None:
    """Real workers, and nothing but JSON on standard output."""
    said = run(
        "train", alpaca, "--model", "tiny-falcon", "--max-steps", "4", "--no-retention", "--eval-every", "2",
        "--track", "csv+tensorboard", "--json",
    )  # fmt: skip
    assert said.code == 0, said.err
    assert "Warning" not in said.err
    outcome = json.loads(said.out)["outcome"]
    folder = home / "runs" / outcome["run"]
    with (folder / "trackers" / "csv" / "metrics.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [float(row["loss"]) for row in rows] == pytest.approx(outcome["losses"])
    assert [row["step"] for row in rows if row["validation_loss"]] == ["2", "4"]
    assert (folder / "loss.png").is_file()
    assert list((folder / "trackers" / "tensorboard").glob("events.out.tfevents.*"))


def test_a_tracker_knows_what_it_needs(home: Path, alpaca: Path) -> None:
    known = with_(spec(Plain, options=(Option(name="page", type="str", default="one", help="where"),)))
    warnings: list[Any] = []
    trained = carry_out(
        planned(alpaca, known, track="tried+csv"),
        known,
        lambda event: warnings.append(event) if event["event"] == "warning" else None,
        start=start_in_process,
    )
    (_, tracked), *steps, (state, results, files) = Plain.told
    assert warnings == []
    assert tracked.name == trained.run.name
    assert tracked.adapter == "data"
    assert tracked.folder == trained.run / "trackers" / "tried"
    assert tracked.options == {"page": "one"}
    assert tracked.settings["model"] == "tiny-falcon"
    assert tracked.settings["rank"] == 16
    assert tracked.resumed_after == 0
    assert [step for step, _ in steps] == [1, 2, 3, 4]
    assert [values["loss"] for _, values in steps] == pytest.approx(trained.outcome.losses)
    assert state == "done"
    assert results["data/exact-match/after"] == next(s.value for s in trained.outcome.scores if s.moment == "after")
    assert [path.name for path in files] == ["loss.png", "summary.json"]
    assert not any("tracker" in part.name for part in trained.run.iterdir() if part.is_file())


@pytest.mark.parametrize(
    ("target", "why", "told"),
    [
        (FailsToBegin, "SystemExit: no connection", []),
        (FailsAtAStep, "OSError: [Errno 28] No space left on device", [1, 2]),
        (FailsAtTheEnd, "RuntimeError: the server is gone", [1, 2, 3, 4]),
    ],
)
def test_a_tracker_that_fails_is_one_warning(
    home: Path, alpaca: Path, target: type[Plain], why: str, told: list[int]
) -> None:
    known = with_(spec(target))
    warnings: list[str] = []
    trained = carry_out(
        planned(alpaca, known, track="tried+csv"),
        known,
        lambda event: warnings.append(event["message"]) if event["event"] == "warning" else None,
        start=start_in_process,
    )
    assert trained.outcome.adapter == "data@1"
    assert warnings == [f"tracker tried is left out from here on: {why}"]
    assert [entry[0] for entry in Plain.told if isinstance(entry[0], int)] == told
    assert (trained.run / "trackers" / "csv" / "results.csv").is_file()


def test_a_tracker_that_never_ends_does_not_keep_a_run_from_its_end(
    home: Path, alpaca: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tracking, "PATIENCE", 0.5)
    known = with_(spec(NeverEnds))
    warnings: list[str] = []
    trained = carry_out(
        planned(alpaca, known, track="tried+csv"),
        known,
        lambda event: warnings.append(event["message"]) if event["event"] == "warning" else None,
        start=start_in_process,
    )
    ending = Run(trained.run).ending()
    assert ending is not None
    assert ending.state == "done"
    assert warnings == [
        "tracker tried is left out from here on: it was still at work when the run ended, and was not waited for any "
        "longer"
    ]


def test_nor_a_process(home: Path, alpaca: Path) -> None:
    run = unbegun(planned(alpaca, with_(spec(NeverEnds)), track="tried"))
    source = """
import sys
from pathlib import Path
sys.path[:0] = sys.argv[2:]
import test_tracking as here
here.tracking.PATIENCE = 0.2
here.Trackers(here.Run(Path(sys.argv[1])), here.with_(here.spec(here.NeverEnds)), print).finish("done")
"""
    paths = [str(Path(__file__).parent), str(Path(__file__).parent.parent)]
    done = subprocess.run(
        [sys.executable, "-c", source, str(run.folder), *paths], capture_output=True, text=True, timeout=60, check=True
    )
    assert "not waited for any longer" in done.stdout


def test_a_slow_tracker_holds_nobody_back(home: Path, alpaca: Path) -> None:
    known = with_(spec(Slow))
    run = unbegun(planned(alpaca, known, track="tried"))
    trackers = Trackers(run, known, lambda event: None)
    before = time.monotonic()
    tell(run, trackers, range(1, 21))
    assert time.monotonic() - before < 0.5  # the tracker takes a second
    trackers.finish("done")


def test_one_that_cannot_keep_up_is_left_out(home: Path, alpaca: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tracking, "BEHIND", 5)
    known = with_(spec(Slow))
    run = unbegun(planned(alpaca, known, track="tried"))
    warnings: list[str] = []
    trackers = Trackers(
        run, known, lambda event: warnings.append(event["message"]) if event["event"] == "warning" else None
    )
    tell(run, trackers, range(1, 21))
    trackers.finish("done")
    assert warnings == ["tracker tried is left out from here on: it is 5 steps behind"]


def test_a_tracker_that_is_gone_when_the_run_goes_on(home: Path, alpaca: Path) -> None:
    run = unbegun(planned(alpaca, with_(spec(Plain)), track="tried+csv"))
    warnings: list[str] = []
    trackers = Trackers(
        run, registry(), lambda event: warnings.append(event["message"]) if event["event"] == "warning" else None
    )
    tell(run, trackers, range(1, 3))
    trackers.finish("stopped")
    assert len(warnings) == 1
    assert "unknown tracker 'tried'" in warnings[0]
    assert (run.folder / "trackers" / "csv" / "metrics.csv").is_file()


def test_what_a_tracker_missed_is_told_when_the_run_goes_on(home: Path, alpaca: Path) -> None:
    """It failed at the second of six steps, whose figures the run has; the next process begins at the fifth."""
    known = with_(spec(FailsAtAStep))
    run = unbegun(planned(alpaca, known, track="tried"))
    first = Trackers(run, known, lambda event: None)
    tell(run, first, range(1, 7))
    first.finish("failed")
    checkpoint(run, 4)
    Plain.told = []
    known = with_(spec(Plain))
    trackers = Trackers(run, known, lambda event: None)
    tell(run, trackers, range(5, 9))
    tell(run, trackers, range(8, 10))  # a worker that was started again does a step once more
    trackers.finish("stopped")
    (_, tracked), *steps, end = Plain.told
    assert tracked.resumed_after == 4
    assert [step for step, _ in steps] == [1, 2, 3, 4, 5, 6, 7, 8, 9]
    assert [values["tokens"] for _, values in steps] == [64.0 * step for step in range(1, 10)]
    assert end == ("stopped", {}, [])


def test_a_worker_that_kept_more_than_was_seen_leaves_no_gap(home: Path, alpaca: Path) -> None:
    """Its supervisor was killed, and it kept its last state when the next process had begun."""
    run = unbegun(planned(alpaca, registry(), track="csv"))
    first = Trackers(run, registry(), lambda event: None)
    tell(run, first, range(1, 7))
    first.finish("failed")
    checkpoint(run, 3)
    second = Trackers(run, registry(), lambda event: None)
    tell(run, second, range(7, 9))
    second.finish("done")
    assert told_to_csv(home) == list(range(1, 9))


def test_a_step_whose_state_was_kept_before_it_was_told_is_told(home: Path, alpaca: Path) -> None:
    """A worker that is stopped while it validates does that again, and tells of the step then."""
    run = unbegun(planned(alpaca, registry(), track="csv"))
    first = Trackers(run, registry(), lambda event: None)
    tell(run, first, range(1, 7))
    first.finish("stopped")
    checkpoint(run, 7)
    second = Trackers(run, registry(), lambda event: None)
    tell(run, second, range(7, 9))
    second.finish("done")
    assert told_to_csv(home) == list(range(1, 9))


@pytest.mark.parametrize(("error", "state"), [(KeyboardInterrupt(), "stopped"), (RuntimeError("broken"), "failed")])
def test_a_run_that_does_not_finish_is_told(home: Path, alpaca: Path, error: BaseException, state: str) -> None:
    known = with_(spec(Plain))

    def start(job: str, folder: Path, on_event: Any, /, at: Any = None) -> Mapping[str, Any]:
        raise error

    with pytest.raises((Exception, KeyboardInterrupt)):
        carry_out(planned(alpaca, known, track="tried"), known, lambda event: None, start=start)
    assert Plain.told[-1] == (state, {}, [])


def test_a_run_that_is_killed_and_gone_on_with_has_each_step_once(home: Path, alpaca: Path) -> None:
    """A real run, killed with its worker between checkpoints; then to its end."""
    command = [
        sys.executable, "-m", "graftlm", "train", alpaca, "--model", "tiny-falcon", "--max-steps", "100",
        "--checkpoint-every", "7", "--no-retention", "--test-split", "0", "--device", "cpu", "--track",
        "csv+tensorboard",
    ]  # fmt: skip
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    until = time.monotonic() + 120
    while not (steps := told_to_csv(home)) or max(steps) < 12:
        assert process.poll() is None, process.stdout and process.stdout.read()
        assert time.monotonic() < until
        time.sleep(0.05)
    process.kill()  # its worker leaves by itself: nobody reads what it says
    process.wait()
    (folder,) = (home / "runs").iterdir()
    run = Run(folder)
    assert not run.finished
    warnings: list[Any] = []
    trained = supervise(run, registry(), lambda event: warnings.append(event) if event["event"] == "warning" else None)
    assert [warning for warning in warnings if "tracker" in warning["message"]] == []
    assert told_to_csv(home) == list(range(1, 101))
    with (folder / "trackers" / "csv" / "metrics.csv").open(newline="", encoding="utf-8") as file:
        assert [float(row["loss"]) for row in csv.DictReader(file)] == pytest.approx(trained.outcome.losses)
    assert len(list((folder / "trackers" / "tensorboard").iterdir())) == 2


def told_to_csv(home: Path) -> list[int]:
    found = next((home / "runs").glob("*/trackers/csv/metrics.csv"), None) if (home / "runs").is_dir() else None
    if found is None:
        return []
    with found.open(newline="", encoding="utf-8") as file:
        return [int(row["step"]) for row in csv.DictReader(line for line in file if line.endswith("\n"))]
