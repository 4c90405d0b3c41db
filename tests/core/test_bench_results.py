"""A comparison's folder: what is finished stays, what goes on is the same comparison, and rounds are interleaved."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from bench_runs import PretendedWorker, Told, failing, planned, result_of, steps_of
from conftest import Said

from graftlm.comparing.cells import cells_of
from graftlm.comparing.model import Report
from graftlm.comparing.record import read_record
from graftlm.comparing.resolving import PlannedCell
from graftlm.comparing.resolving import planned as planned_cell
from graftlm.comparing.results import FORM, ResultFolder
from graftlm.comparing.rounds import run_rounds
from graftlm.comparing.suite import Suite, suite
from graftlm.comparing.summary import report
from graftlm.contracts.errors import GraftlmError, Interrupted, StoreError, UsageError
from graftlm.contracts.plan import Plan
from graftlm.contracts.serial import to_json
from graftlm_registry.plugins import registry

# Files


@pytest.fixture(autouse=True)
def _wide(monkeypatch: pytest.MonkeyPatch) -> None:
    """Sentences in tables stay on one line, whatever the terminal."""
    monkeypatch.setenv("COLUMNS", "300")


@pytest.fixture
def plan(home: Path, alpaca: Path) -> Plan:
    return planned(alpaca)


@pytest.fixture
def folder(tmp_path: Path) -> ResultFolder:
    return ResultFolder(tmp_path / "out")


def test_a_result_is_read_as_it_was_kept(folder: ResultFolder, plan: Plan) -> None:
    kept = result_of(plan, steps=steps_of(gradient_norm=None), energy=12.5)
    path = folder.keep("peft-123456", kept)
    assert path.name == "peft-123456.r1.json"
    assert folder.read() == (kept,)
    assert [p.name for p in path.parent.iterdir()] == [path.name]


def test_a_folder_without_results_has_none(folder: ResultFolder) -> None:
    assert folder.read() == ()
    assert not folder.root.exists()  # looking makes nothing


def test_a_finished_run_is_never_written_over(folder: ResultFolder, plan: Plan) -> None:
    path = folder.keep("peft", result_of(plan))
    before = path.read_bytes()
    with pytest.raises(StoreError, match=r"peft\.r1\.json is there already: is another bench running in "):
        folder.keep("peft", result_of(plan, wall_seconds=1.0))
    assert path.read_bytes() == before
    assert [p.name for p in path.parent.iterdir()] == [path.name]


def test_failures_stand_beside_each_other_until_a_run_of_their_round_succeeds(folder: ResultFolder, plan: Plan) -> None:
    first = folder.keep("peft", result_of(plan, error="one", finished="1"))
    second = folder.keep("peft", result_of(plan, error="two", finished="2"))
    assert [first.name, second.name] == ["peft.r1.failed-1.json", "peft.r1.failed-2.json"]
    other = result_of(plan, number=2, error="three", finished="3")
    folder.keep("peft", other)
    assert [result.error for result in folder.read()] == ["one", "two", "three"]
    folder.keep("peft", mended := result_of(plan, finished="4"))
    assert folder.read() == (mended, other)
    assert first.is_file()  # nothing is removed


def test_failures_of_another_round_and_cell_are_counted_apart(folder: ResultFolder, plan: Plan) -> None:
    folder.keep("peft", result_of(plan, error="one", number=11))
    assert folder.keep("peft", result_of(plan, error="one")).name == "peft.r1.failed-1.json"
    assert folder.keep("a-peft", result_of(plan, "a-peft", error="one")).name == "a-peft.r1.failed-1.json"


def test_results_are_in_the_order_of_cell_and_round(folder: ResultFolder, plan: Plan) -> None:
    for cell, number in (("b", 2), ("a", 10), ("b", 1), ("a", 9)):
        folder.keep(cell, result_of(plan, cell, number))
    assert [(r.cell, r.round) for r in folder.read()] == [("a", 9), ("a", 10), ("b", 1), ("b", 2)]


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"cell": 1}', b"\xff\xfe", b'{"form": 1, "cell": "peft"}'])
def test_a_file_that_is_no_result_is_named(folder: ResultFolder, plan: Plan, content: bytes) -> None:
    path = folder.keep("peft", result_of(plan)).with_name("other.r1.json")
    path.write_bytes(content)
    with pytest.raises(GraftlmError, match=r"other\.r1\.json cannot be read: "):
        folder.read()


def test_a_folder_in_a_file_s_place_is_a_sentence(folder: ResultFolder, plan: Plan) -> None:
    folder.keep("peft", result_of(plan)).with_name("other.r1.json").mkdir()
    with pytest.raises(StoreError, match=r"other\.r1\.json cannot be read: Is a directory"):
        folder.read()


def test_a_file_of_a_later_graftlm_is_refused_as_that(folder: ResultFolder, plan: Plan) -> None:
    """Whatever else its form is."""
    path = folder.keep("peft", result_of(plan))
    content = json.loads(path.read_bytes())
    for changes in ({}, {"steps": "elsewhere", "plan": {}}):
        path.write_text(json.dumps({**content, **changes, "form": FORM + 1}))
        with pytest.raises(StoreError, match=r"peft.*was written by a later graftlm: use that one"):
            folder.read()


def test_a_result_may_have_more_than_is_known(folder: ResultFolder, plan: Plan) -> None:
    path = folder.keep("peft", kept := result_of(plan))
    path.write_text(json.dumps({**json.loads(path.read_bytes()), "weather": "fine"}))
    assert folder.read() == (kept,)


def test_what_was_left_half_written_is_no_result(folder: ResultFolder, plan: Plan) -> None:
    path = folder.keep("peft", kept := result_of(plan))
    path.with_name(".peft.r2.json.4711").write_bytes(path.read_bytes()[:100])
    assert folder.read() == (kept,)


def test_a_full_disk_is_a_sentence_and_leaves_nothing(
    folder: ResultFolder, plan: Plan, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder.make()

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StoreError, match=r"peft\.r1\.json cannot be written: No space left on device"):
        folder.keep("peft", result_of(plan))
    monkeypatch.undo()
    assert list((folder.root / "runs").iterdir()) == []


def test_a_folder_that_cannot_be_made_is_a_sentence(tmp_path: Path, plan: Plan) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StoreError, match=r"file.*cannot be written: Not a directory"):
        ResultFolder(tmp_path / "file" / "out").keep("peft", result_of(plan))


# The engine


@pytest.fixture
def small(home: Path, alpaca: Path) -> Callable[..., Suite]:
    """``small(backends, …)``: a suite of four steps."""

    def make(*backends: str, data: Path = alpaca, **more: Any) -> Suite:
        base = {"data": str(data), "model": "tiny-mistral", "max_steps": 4, "dtype": "fp32", "device": "cpu"}
        given = {"repeat": 2, "warmup": 1, "answers": 2, **more}
        return suite(title="one", base=base, matrix={"backend": backends}, **given)

    return make


Small = Callable[..., Suite]


def cells(made: Suite) -> list[PlannedCell]:
    return [planned_cell(cell, registry()) for cell in cells_of(made)]


def start(made: Suite, root: Path, worker: PretendedWorker | None = None, **more: Any) -> tuple[Told, PretendedWorker]:
    told, worker = Told(), worker or PretendedWorker()
    run_rounds(made, cells(made), root, registry(), told, start=worker, **more)
    return told, worker


def reported(root: Path) -> Report:
    folder = ResultFolder(root)
    return report(read_record(folder), folder.read())


def runs(root: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted((root / "runs").iterdir())}


def test_every_round_has_every_cell_once(small: Small, tmp_path: Path) -> None:
    told, worker = start(small("peft", "trainer", repeat=3), tmp_path / "out")
    assert told.began_with == [(cell, number) for number in (1, 2, 3) for cell in ("peft", "trainer")]
    assert worker.trained == ["peft", "trainer"] * 3
    assert [(r.cell, r.round, r.error) for r in told.results] == [(c, n, "") for c, n in told.began_with]
    assert not (tmp_path / "out" / ".work").exists()
    assert told.left[-1] < told.left[0]


def test_each_cell_is_proved_once_and_all_begin_alike(small: Small, tmp_path: Path) -> None:
    _, worker = start(small("peft", "trainer"), tmp_path / "out")
    assert [call for call in worker.calls if call[0] == "prove"] == [("prove", "peft"), ("prove", "trainer")]
    assert [call for call in worker.calls if call[0] == "initial"] == [("initial", "peft")]
    results = ResultFolder(tmp_path / "out").read()
    assert len({result.inputs for result in results}) == 1
    assert [bool(result.answers) for result in results] == [True, False, True, False]
    assert all(result.rate == 1e9 and result.adapter_bytes == len(b"weights") for result in results)


def test_a_comparison_that_is_finished_does_nothing_more(small: Small, tmp_path: Path) -> None:
    made = small("peft", "trainer")
    start(made, tmp_path / "out")
    before = runs(tmp_path / "out")
    told, worker = start(made, tmp_path / "out")
    assert (told.began_with, worker.calls) == ([], [])
    assert runs(tmp_path / "out") == before


def test_more_rounds_of_the_same_go_on(small: Small, tmp_path: Path) -> None:
    start(small("peft", "trainer", repeat=1), tmp_path / "out")
    before = runs(tmp_path / "out")
    told, _ = start(small("peft", "trainer", repeat=3), tmp_path / "out")
    assert told.began_with == [("peft", 2), ("trainer", 2), ("peft", 3), ("trainer", 3)]
    after = runs(tmp_path / "out")
    assert {name: after[name] for name in before} == before
    assert [cell.rounds for cell in reported(tmp_path / "out").cells] == [3, 3]


def test_fewer_rounds_report_fewer(small: Small, tmp_path: Path) -> None:
    start(small("peft", "trainer", repeat=2), tmp_path / "out")
    told, _ = start(small("peft", "trainer", repeat=1), tmp_path / "out")
    assert told.began_with == []
    assert [(cell.status, cell.rounds) for cell in reported(tmp_path / "out").cells] == [("finished", 1)] * 2


def test_another_suite_in_the_same_folder_is_refused(small: Small, tmp_path: Path) -> None:
    start(small("peft", "trainer"), tmp_path / "out")
    kept = (tmp_path / "out" / "suite.json").read_bytes()
    for other in (
        small("peft"),
        small("peft", "trainer", warmup=2),
        small("peft", "trainer", baseline={"backend": "trainer"}),
    ):
        with pytest.raises(UsageError, match=r"out holds the results of another comparison: give another --out"):
            start(other, tmp_path / "out")
    assert (tmp_path / "out" / "suite.json").read_bytes() == kept


def test_other_limits_and_moved_data_are_the_same_comparison(small: Small, tmp_path: Path, alpaca: Path) -> None:
    """Limits are for the report; what is in the data stands in the plans."""
    start(small("peft", "trainer"), tmp_path / "out")
    told, _ = start(small("peft", "trainer", tolerance={"first-loss": 0.5}), tmp_path / "out")
    assert told.began_with == []
    assert read_record(ResultFolder(tmp_path / "out")).suite.tolerance == {"first-loss": 0.5}
    (tmp_path / "moved").mkdir()
    moved = alpaca.rename(tmp_path / "moved" / alpaca.name)
    told, _ = start(small("peft", "trainer", data=moved), tmp_path / "out")
    assert told.began_with == []


def test_finished_runs_of_other_plans_are_refused(small: Small, tmp_path: Path, alpaca: Path) -> None:
    """The suite is the same, and the data is not: their figures do not belong together."""
    made = small("peft", "trainer")
    start(made, tmp_path / "out")
    alpaca.write_text(alpaca.read_text() + json.dumps({"instruction": "One", "input": "more", "output": "row"}) + "\n")
    with pytest.raises(UsageError, match=r"the finished runs of 'peft' in .* are of another plan .*give another --out"):
        start(made, tmp_path / "out")


def test_failed_runs_of_other_plans_do_not_matter(small: Small, tmp_path: Path, alpaca: Path) -> None:
    made = small("peft", "trainer")
    start(made, tmp_path / "out", PretendedWorker(failing("peft", "trainer")))
    alpaca.write_text(alpaca.read_text() + json.dumps({"instruction": "One", "input": "more", "output": "row"}) + "\n")
    told, _ = start(made, tmp_path / "out")
    assert [result.error for result in told.results] == [""] * 4


def test_a_cell_that_failed_is_left_out_and_tried_again_by_the_next_start(small: Small, tmp_path: Path) -> None:
    made, root = small("peft", "trainer", repeat=2), tmp_path / "out"
    told, _ = start(made, root, PretendedWorker(failing("trainer")))
    assert told.began_with == [("peft", 1), ("trainer", 1), ("peft", 2)]
    assert (root / "logs").is_dir()
    (log,) = (root / "logs").iterdir()
    assert log.read_text() == "train of trainer\n"
    peft, trainer = reported(root).cells
    assert (peft.status, trainer.status) == ("finished", "failed")
    assert trainer.reason == "trainer does not work today"
    assert not trainer.figures

    told, _ = start(made, root)
    assert told.began_with == [("trainer", 1), ("trainer", 2)]
    assert [(cell.status, cell.reason) for cell in reported(root).cells] == [("finished", "")] * 2


def test_a_cell_that_fails_later_keeps_what_it_finished(small: Small, tmp_path: Path) -> None:
    made, root = small("peft", "trainer", repeat=3), tmp_path / "out"
    start(small("peft", "trainer", repeat=1), root)
    start(made, root, PretendedWorker(failing("trainer")))
    _, trainer = reported(root).cells
    assert (trainer.status, trainer.rounds, trainer.relation) == ("failed", 1, "same computation")
    assert trainer.reason == "a later run failed: trainer does not work today"
    assert trainer.ratios


def test_a_run_that_cannot_be_proved_has_failed(small: Small, tmp_path: Path) -> None:
    start(small("peft", "trainer", repeat=1), tmp_path / "out", PretendedWorker(failing("trainer", job="prove")))
    trainer = reported(tmp_path / "out").cells[1]
    assert (trainer.status, trainer.reason) == ("failed", "trainer does not work today")


@pytest.mark.parametrize("stop", [Interrupted("stopped by SIGINT"), KeyboardInterrupt(), MemoryError()])
@pytest.mark.parametrize("job", ["initial", "train", "prove"])
def test_what_is_stopped_goes_on_where_it_was(small: Small, tmp_path: Path, stop: BaseException, job: str) -> None:
    made, root = small("peft", "trainer"), tmp_path / "out"

    def before(now: str, backend: str) -> None:
        if (now, backend) == (job, "peft" if job == "initial" else "trainer"):
            raise stop

    with pytest.raises(type(stop)):
        start(made, root, PretendedWorker(before))
    finished = runs(root) if (root / "runs").is_dir() else {}
    assert len(finished) == (0 if job == "initial" else 1)
    assert not (root / ".work").exists()
    told, _ = start(made, root)
    assert told.began_with == [("peft", 1), ("trainer", 1), ("peft", 2), ("trainer", 2)][len(finished) :]
    assert {name: runs(root)[name] for name in finished} == finished


def test_what_a_killed_bench_left_is_cleared_away(small: Small, tmp_path: Path) -> None:
    """Nobody tidied up after it: half a run, half a copy of the initial weights, half a result."""
    made, root = small("peft", "trainer"), tmp_path / "out"
    start(small("peft", "trainer", repeat=1), root)
    for folder in ("run/scratch", "run/encoded", "initial/0123.4711", "rate"):
        (root / ".work" / folder).mkdir(parents=True)
    (root / ".work" / "run" / "plan.json").write_text("{")
    (root / "runs" / ".trainer.r2.json.4711").write_text("{")
    told, _ = start(made, root)
    assert told.began_with == [("peft", 2), ("trainer", 2)]
    assert not (root / ".work").exists()


def test_time_that_is_up_begins_nothing(small: Small, tmp_path: Path) -> None:
    made, told = small("peft", "trainer", repeat=2), Told()
    worker = PretendedWorker()
    left = run_rounds(made, cells(made), tmp_path / "out", registry(), told, minutes=0.01, start=worker)
    assert (left, worker.trained) == (4, [])
    left = run_rounds(made, cells(made), tmp_path / "out", registry(), told, minutes=60, start=worker)
    assert (left, len(worker.trained)) == (0, 4)


def test_an_unavailable_cell_stands_in_the_report_with_its_reason(small: Small, tmp_path: Path) -> None:
    made, root = small("peft", "nobody"), tmp_path / "out"
    told, _ = start(made, root)
    assert told.began_with == [("peft", 1), ("peft", 2)]
    _, nobody = reported(root).cells
    assert nobody.status == "unavailable"
    assert "unknown backend 'nobody'" in nobody.reason


def test_where_no_cell_can_run_each_says_why(small: Small, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"no cell can run here:\nnobody: unknown backend 'nobody'(.|\n)*\nnone: unkn"):
        start(small("nobody", "none"), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_report_of_a_folder_without_a_suite_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"there are no results in .*: give the folder that 'graftlm bench run --out'"):
        read_record(ResultFolder(tmp_path))


@pytest.mark.parametrize("content", ['{"form": 1}', "{", "[]"])
def test_a_suite_that_cannot_be_read_is_named(tmp_path: Path, content: str) -> None:
    (tmp_path / "suite.json").write_text(content)
    with pytest.raises(GraftlmError, match=r"suite\.json cannot be read: "):
        read_record(ResultFolder(tmp_path))


def test_a_suite_of_a_later_graftlm_is_refused_as_that(small: Small, tmp_path: Path) -> None:
    start(small("peft", "trainer", repeat=1), tmp_path / "out")
    path = tmp_path / "out" / "suite.json"
    path.write_text(json.dumps({**json.loads(path.read_bytes()), "form": FORM + 1, "cells": {}}))
    with pytest.raises(StoreError, match=r"suite\.json was written by a later graftlm: use that one"):
        read_record(ResultFolder(tmp_path / "out"))


def test_a_folder_that_cannot_be_written_is_found_before_anything_runs(small: Small, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    worker = PretendedWorker()
    with pytest.raises(StoreError, match=r"file.* cannot be written: "):
        start(small("peft", "trainer"), tmp_path / "file", worker)
    assert worker.calls == []


def test_the_record_says_what_each_cell_is(small: Small, tmp_path: Path) -> None:
    made = small("peft", "nobody")
    start(made, tmp_path / "out")
    record = read_record(ResultFolder(tmp_path / "out"))
    peft, nobody = record.cells
    assert (peft.shown, peft.problem) == ({"backend": "peft"}, "")
    assert peft.plan_hash == ResultFolder(tmp_path / "out").read()[0].plan.hash
    assert nobody.plan_hash == ""
    assert "unknown backend" in nobody.problem
    assert to_json(record.suite) == to_json(made)


def test_the_report_of_the_same_results_is_the_same(small: Small, tmp_path: Path) -> None:
    start(small("peft", "trainer"), tmp_path / "out")
    first, second = (json.dumps(reported(tmp_path / "out").to_builtins()) for _ in range(2))
    assert first == second


def test_a_gradient_that_overflowed_can_be_kept(small: Small, tmp_path: Path) -> None:
    """In fp16 it does, now and then: infinity is no JSON."""

    class Overflowing(PretendedWorker):
        def _train(self, folder: Path, plan: Plan, on_event: Any) -> Any:
            def overflowing(event: Any) -> None:
                on_event({**event, "gradient_norm": float("inf")})

            return super()._train(folder, plan, overflowing)

    start(small("peft", "trainer", repeat=1), tmp_path / "out", Overflowing())
    results = ResultFolder(tmp_path / "out").read()
    assert {step.gradient_norm for result in results for step in result.steps} == {None}
    assert [cell.relation for cell in reported(tmp_path / "out").cells] == ["baseline", "same computation"]


def test_a_sweep_with_an_included_cell_beside_it(small: Small, alpaca: Path, tmp_path: Path) -> None:
    """The included cell has no size of its own."""
    base = {"data": str(alpaca), "model": "tiny-mistral", "max_steps": 4, "dtype": "fp32", "device": "cpu"}
    made = suite(
        title="one", base=base, matrix={"backend": ("peft", "trainer"), "rank": (2, 4)}, sweeps=("rank",), repeat=1,
        warmup=1, include=({"backend": "peft", "alpha": 8.0, "label": "apart"},),
    )  # fmt: skip
    start(made, tmp_path / "out")
    found = reported(tmp_path / "out")
    assert [cell.status for cell in found.cells] == ["finished"] * 5
    assert {(sweep.setting, slope.cells) for sweep in found.sweeps for slope in sweep.slopes} == {
        ("rank", "peft"), ("rank", "trainer"),
    }  # fmt: skip


def test_two_benches_in_one_folder_do_not_take_each_other_s_runs(small: Small, tmp_path: Path) -> None:
    made, root = small("peft", "trainer", repeat=1), tmp_path / "out"
    second: list[BaseException] = []

    def before(job: str, backend: str) -> None:
        if (job, backend) == ("train", "peft") and not second:
            second.append(RuntimeError())
            try:
                start(made, root)
            except UsageError as error:
                second[0] = error

    told, _ = start(made, root, PretendedWorker(before))
    assert f"another bench is running in {root}" in str(second[0])
    assert [result.error for result in told.results] == ["", ""]


def test_a_disk_that_fills_up_ends_the_bench_and_loses_nothing(
    small: Small, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made, root, fsync = small("peft", "trainer", repeat=1), tmp_path / "out", os.fsync

    def before(job: str, backend: str) -> None:
        if (job, backend) == ("prove", "trainer"):
            monkeypatch.setattr(os, "fsync", full)

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with pytest.raises(StoreError, match=r"trainer-.*\.r1\.json cannot be written: No space left on device"):
        start(made, root, PretendedWorker(before))
    monkeypatch.setattr(os, "fsync", fsync)
    assert [(r.cell, r.error) for r in ResultFolder(root).read()] == [("peft", "")]
    told, _ = start(made, root)
    assert told.began_with == [("trainer", 1)]


# The command


Run = Callable[..., Said]


@pytest.fixture
def command(run: Run, alpaca: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """``command(worker, …)``: ``graftlm bench run`` on two rounds with a pretended worker."""

    def call(worker: PretendedWorker, *more: str) -> Said:
        monkeypatch.setitem(run_rounds.__kwdefaults__, "start", worker)
        return run(
            "bench", "run", alpaca, "--model", "tiny-mistral", "--steps", "4", "--warmup-steps", "1", "--repeat", "2",
            "--dtype", "fp32", "--device", "cpu", "--out", tmp_path / "out", *more,
        )  # fmt: skip

    return call


BOTH = ("--backend", "peft", "--backend", "trainer")


def test_the_command_tells_each_run_and_what_came_of_it(command: Run, tmp_path: Path) -> None:
    done = command(PretendedWorker(), *BOTH)
    assert done.code == 0, done.err
    told = [line for line in done.err.splitlines() if "round" in line]
    assert [line.split("  ")[0:2] for line in told] == [
        [f"[{i}/4] round {number}", name]
        for i, (number, name) in enumerate(((1, "peft"), (1, "trainer"), (2, "peft"), (2, "trainer")), start=1)
    ]
    assert all("tokens/s" in line and "left)" in line for line in told)
    for name in ("report.md", "report.html", "report.json"):
        assert (tmp_path / "out" / name).is_file()
        assert str(tmp_path / "out" / name) in done.out


def test_a_bench_with_a_failed_cell_tells_it_and_has_an_exit_code(command: Run) -> None:
    done = command(PretendedWorker(failing("trainer")), *BOTH)
    assert done.code == 1
    assert "trainer  failed: trainer does not work today" in done.err
    assert "failed: trainer does not work today" in done.out
    assert "peft" in done.out
    again = command(PretendedWorker(), *BOTH)
    assert again.code == 0
    assert again.err.count("tokens/s") == 2


def test_json_is_the_report_and_nothing_else(command: Run) -> None:
    done = command(PretendedWorker(), *BOTH, "--json")
    assert (done.code, done.err) == (0, "")
    assert [cell["name"] for cell in json.loads(done.out)["cells"]] == ["peft", "trainer"]


def test_what_time_did_not_allow_is_said(command: Run) -> None:
    done = command(PretendedWorker(), *BOTH, "--stop-after", "0.01")
    assert done.code == 0, done.err
    assert "4 runs are left: the same command goes on" in done.out


def test_a_baseline_that_cannot_run_is_warned_of(command: Run) -> None:
    done = command(PretendedWorker(), "--backend", "nobody", "--backend", "peft")
    assert "Warning: the baseline 'nobody' cannot run, so that nothing is compared with it: unknown" in done.err
    assert "unavailable: unknown backend 'nobody'" in done.out


def test_an_interrupt_tells_what_is_kept_and_how_it_goes_on(command: Run, tmp_path: Path) -> None:
    def before(job: str, backend: str) -> None:
        if (job, backend) == ("train", "trainer"):
            raise Interrupted("stopped by SIGINT")

    done = command(PretendedWorker(before), *BOTH)
    assert done.code == 130
    assert f"what is finished is kept in {tmp_path / 'out'}, and the same command goes on" in done.err
    assert len(runs(tmp_path / "out")) == 1


def test_the_command_refuses_another_comparison_s_folder(command: Run) -> None:
    assert command(PretendedWorker(), *BOTH).code == 0
    refused = command(PretendedWorker(), *BOTH, "--rank", "4")
    assert refused.code == 2
    assert "holds the results of another comparison: give another --out" in refused.err
