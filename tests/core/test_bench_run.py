"""Real runs: wrong backends are each caught by the gate, and a bench that is killed goes on where it was."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from bench_runs import Told
from conftest import ROOT, Said

from graftlm.comparing.cells import cells_of
from graftlm.comparing.model import CellReport
from graftlm.comparing.record import read_record
from graftlm.comparing.resolving import planned
from graftlm.comparing.results import ResultFolder, RunResult
from graftlm.comparing.rounds import run_rounds
from graftlm.comparing.suite import suite
from graftlm.comparing.summary import report
from graftlm.contracts.serial import from_json, to_json
from graftlm.testing.in_process import start_in_process
from graftlm_registry.plugins import registry

Run = Callable[..., Said]
PACKAGE = "graftlm_bench_example"


@pytest.fixture(autouse=True)
def _wide(monkeypatch: pytest.MonkeyPatch) -> None:
    """Sentences in tables stay on one line, whatever the terminal."""
    monkeypatch.setenv("COLUMNS", "300")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder into which pip built and installed ``tests/bench_pkg``."""
    folder = tmp_path_factory.mktemp("site")
    offline = ["--no-deps", "--no-build-isolation", "--no-index", "--disable-pip-version-check", "--quiet"]
    source = ROOT / "tests" / "bench_pkg"
    command = [sys.executable, "-m", "pip", "install", *offline, "--target", str(folder), str(source)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture(scope="module")
def bench_home(tmp_path_factory: pytest.TempPathFactory, _probed: Path) -> Path:
    folder = tmp_path_factory.mktemp("bench-home")
    (folder / "cache").mkdir()
    (folder / "probes").symlink_to(_probed / "probes")
    (folder / "cache" / "chat-templates").symlink_to(_probed / "cache" / "chat-templates")
    return folder


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Rows of unequal lengths, so that there is padding."""
    path = tmp_path_factory.mktemp("rows") / "rows.jsonl"
    colours = ("red", "deep blue", "a light and yellowish green")
    rows = (
        {"instruction": "Name the colour.", "input": "thing " * (1 + i % 5) + str(i), "output": colours[i % 3]}
        for i in range(40)
    )
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


# Wrong backends

WRONG = {
    "prompt": "first loss differs by",
    "bypass": "first loss differs by",
    "frozen": "gradient norm differs by",
    "precision": "loss curve differs by",
    "prefix": "the model was given other ids than the planned samples",
    "shifted": "the model was given other ids than the planned samples",
    "order": "the model was given other ids than the planned samples",
    "late-order": "loss curve differs by",
    "rate": "loss curve differs by",
    "fewer": "the model was given other ids than the planned samples",
    "padding": "tokens counted in a step instead of",
    "script": "3,584 trainable parameters instead of 143,360",
}
"""What is said of each, among others."""


@pytest.fixture(scope="module")
def one_round(
    site: Path, bench_home: Path, data: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[..., dict[str, CellReport]]]:
    """``one_round(dtype, backends)``: the report of one round of them."""
    from graftlm.worker import rate

    def bench(dtype: str, *backends: str) -> dict[str, CellReport]:
        base = {"data": str(data), "model": "tiny-qwen", "max_steps": 6, "batch_size": 4, "micro_batch": 2}
        base |= {"dtype": dtype, "device": "cpu"}
        made = suite(title="wrong", base=base, matrix={"backend": backends}, repeat=1, warmup=2)
        root = tmp_path_factory.mktemp("judged") / "out"
        registry.cache_clear()
        cells = [planned(cell, registry()) for cell in cells_of(made)]
        run_rounds(made, cells, root, registry(), Told(), start=start_in_process)
        folder = ResultFolder(root)
        return {cell.name: cell for cell in report(read_record(folder), folder.read()).cells}

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GRAFTLM_HOME", str(bench_home))
        patch.setattr(rate, "SECONDS", 0.01)
        patch.syspath_prepend(site)
        yield bench
    registry.cache_clear()
    for name in [name for name in sys.modules if name.startswith(PACKAGE)]:
        del sys.modules[name]


@pytest.fixture(scope="module")
def judged(one_round: Callable[..., dict[str, CellReport]]) -> dict[str, CellReport]:
    return one_round(
        "fp32", "peft", *(f"bench-{name}" for name in ("honest", "attention", "late-attention", "absent", *WRONG))
    )


@pytest.fixture(scope="module")
def judged_in_16_bits(one_round: Callable[..., dict[str, CellReport]]) -> dict[str, CellReport]:
    return one_round("bf16", "peft", "bench-honest", "bench-float")


def failed(cell: CellReport) -> set[str]:
    return {check.name for check in cell.checks if not check.passed}


def test_an_honest_backend_passes_and_is_compared(judged: dict[str, CellReport]) -> None:
    assert (judged["peft"].status, judged["peft"].relation) == ("finished", "baseline")
    honest = judged["bench-honest"]
    assert (honest.status, honest.relation, honest.reason) == ("finished", "same computation", "")
    assert [check.name for check in honest.checks] == [
        "ids", "data", "parameters", "tokens", "first loss", "gradient norm", "loss curve", "effect on the logits",
        "answers",
    ]  # fmt: skip
    assert failed(honest) == set()
    assert honest.ratios["tokens_per_second"].median > 0
    assert honest.ratios.keys() >= {"tokens_per_second", "first_step_seconds", "peak_memory"}


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_backend_is_not_comparable_for_its_reason(judged: dict[str, CellReport], name: str) -> None:
    cell = judged[f"bench-{name}"]
    assert (cell.status, cell.relation, cell.ratios) == ("finished", "not comparable", {})
    assert WRONG[name] in cell.reason
    assert cell.figures["tokens_per_second"].median > 0


def test_what_only_one_check_sees_is_seen_by_that_one(judged: dict[str, CellReport]) -> None:
    """Other checks would not have caught these."""
    assert failed(judged["bench-padding"]) == {"tokens"}
    assert "ids" not in failed(judged["bench-precision"]) | failed(judged["bench-prompt"])
    assert failed(judged["bench-late-order"]) >= {"loss curve"}
    assert "ids" not in failed(judged["bench-late-order"]) | failed(judged["bench-rate"])
    assert "first loss" not in failed(judged["bench-frozen"]) | failed(judged["bench-rate"])


def test_a_backend_that_takes_another_attention_fails_at_once(judged: dict[str, CellReport]) -> None:
    loaded, changed = judged["bench-attention"], judged["bench-late-attention"]
    assert loaded.reason == "the plan says attention sdpa, and eager was loaded"
    assert changed.reason == "the plan says attention sdpa, and the backend changed it to eager after loading"
    for cell in (loaded, changed):
        assert (cell.status, cell.ratios, cell.figures, cell.rounds) == ("failed", {}, {}, 0)


def test_another_precision_than_16_bits_has_a_reason_and_no_ratio(judged_in_16_bits: dict[str, CellReport]) -> None:
    honest, wrong = judged_in_16_bits["bench-honest"], judged_in_16_bits["bench-float"]
    assert (honest.relation, failed(honest)) == ("same computation", set())
    assert wrong.relation in ("none", "not comparable")
    assert wrong.reason
    assert wrong.ratios == {}


def test_somebody_s_script_is_measured_as_what_it_is(judged: dict[str, CellReport]) -> None:
    cell = judged["bench-script"]
    assert cell.ran["attention"] == "eager"
    assert cell.ran["adapted"].startswith("8 of 28 linear layers")
    assert failed(cell) >= {"parameters"}
    assert "answers" not in {check.name for check in cell.checks}


def test_a_cell_that_cannot_run_here_stands_in_the_report(judged: dict[str, CellReport]) -> None:
    cell = judged["bench-absent"]
    assert (cell.status, cell.relation) == ("unavailable", "none")
    assert cell.reason == "backend bench-absent: needs a device that nobody has"


def test_the_bench_says_what_really_ran(judged: dict[str, CellReport]) -> None:
    ran = judged["peft"].ran
    assert (ran["attention"], ran["accelerated"]) == (
        "sdpa, packed without padding",
        "fused-lora, supervised-logits, varlen",
    )
    assert (ran["precision"], ran["micro-batch"]) == ("fp32", "2 of 4")
    assert "torch" in ran["versions"]
    assert len(judged["peft"].losses) == 6
    assert len(judged["peft"].step_seconds) == 4
    assert judged["peft"].validation[-1][0] == 6


def test_a_script_makes_no_adapter_to_keep(run: Run, site: Path, data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(site)
    registry.cache_clear()
    refused = run("train", data, "--model", "tiny-qwen", "--backend", "bench-script", "--max-steps", "2")
    assert refused.code == 2
    assert "backend bench-script is a script that runs as it is, whatever the plan says" in refused.err
    assert "graftlm bench" in refused.err


# Killed, and stopped


@dataclass(frozen=True)
class Stopped:
    """A bench of two cells and two rounds: killed in its first round, interrupted in its second, and then finished.
    ``kept`` are the results after each start.
    """

    root: Path
    kept: tuple[dict[str, bytes], ...]
    workers: tuple[list[int], ...]
    codes: tuple[int, ...]
    errors: tuple[str, ...]
    said: str


def results(root: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted((root / "runs").glob("*.json"))}


def workers_of(root: Path) -> list[int]:
    found = subprocess.run(["pgrep", "-f", f"graftlm.worker.*{root}"], capture_output=True, text=True, check=False)
    return [int(pid) for pid in found.stdout.split()]


def in_the_middle_of(front: subprocess.Popen[str], root: Path, finished: int) -> None:
    """Wait until so many results are there and a worker of the next run trains."""
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and front.poll() is None:
        trains = any((run / "encoded" / "order.json").is_file() for run in root.glob(".work/*/run"))
        if len(results(root)) == finished and trains and workers_of(root):
            return
        time.sleep(0.02)
    front.kill()
    raise AssertionError(f"no run was begun after {finished}: {front.communicate()}")


@pytest.fixture(scope="module")
def stopped(site: Path, bench_home: Path, data: Path, tmp_path_factory: pytest.TempPathFactory) -> Stopped:
    root = tmp_path_factory.mktemp("stopped") / "out"
    environment = {
        **os.environ, "GRAFTLM_HOME": str(bench_home), "OMP_NUM_THREADS": "1", "COLUMNS": "200",
        "PYTHONPATH": os.pathsep.join([str(site), os.environ.get("PYTHONPATH", "")]),
    }  # fmt: skip
    command = [
        sys.executable, "-m", "graftlm", "bench", "run", str(data), "--model", "tiny-qwen", "--backend", "peft",
        "--backend", "bench-honest", "--steps", "6", "--batch-size", "4", "--micro-batch", "2", "--dtype", "fp32",
        "--device", "cpu", "--warmup-steps", "2", "--repeat", "2", "--out", str(root),
    ]  # fmt: skip

    def start() -> subprocess.Popen[str]:
        return subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment,
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # tests in the background ignore it
        )  # fmt: skip

    kept, workers, codes, errors, said = [], [], [], [], ""
    for number, finished in ((signal.SIGKILL, 1), (signal.SIGINT, 2), (None, 4)):
        front = start()
        if number is not None:
            in_the_middle_of(front, root, finished)
            front.send_signal(number)
        said, error = front.communicate(timeout=240)
        deadline = time.monotonic() + 30
        while number == signal.SIGKILL and workers_of(root) and time.monotonic() < deadline:
            time.sleep(0.1)  # it notices that nobody listens
        kept.append(results(root))
        workers.append(workers_of(root))
        codes.append(front.returncode)
        errors.append(error)
    return Stopped(root, tuple(kept), tuple(workers), tuple(codes), tuple(errors), said)


def test_no_finished_run_is_lost_and_none_is_run_again(stopped: Stopped) -> None:
    assert [len(kept) for kept in stopped.kept] == [1, 2, 4]
    last = stopped.kept[-1]
    for kept in stopped.kept:
        assert {name: last[name] for name in kept} == kept


def test_no_worker_is_left_over(stopped: Stopped) -> None:
    assert stopped.workers == ([], [], [])
    assert not (stopped.root / ".work").exists()


def test_an_interrupted_bench_says_so_in_a_sentence(stopped: Stopped) -> None:
    assert stopped.codes == (-signal.SIGKILL, 130, 0)
    assert "stopped by SIGINT; what is finished is kept in" in stopped.errors[1]
    assert "the same command goes on" in stopped.errors[1]
    assert all("Traceback" not in error for error in stopped.errors)


def test_the_rounds_of_all_starts_together_are_interleaved(stopped: Stopped) -> None:
    found = [from_json(content, RunResult, "a result") for content in stopped.kept[-1].values()]
    assert [(run.cell, run.round) for run in sorted(found, key=lambda run: run.finished)] == [
        ("peft", 1), ("bench-honest", 1), ("peft", 2), ("bench-honest", 2),
    ]  # fmt: skip
    assert len({run.inputs for run in found}) == 1  # every start made the same order and weights
    assert len({tuple(step.loss for step in run.steps) for run in found if run.cell == "peft"}) == 1


def test_the_report_is_written_when_it_is_finished(stopped: Stopped) -> None:
    assert "report.html" in stopped.said
    written = json.loads((stopped.root / "report.json").read_bytes())
    assert [(cell["status"], cell["relation"], cell["rounds"]) for cell in written["cells"]] == [
        ("finished", "baseline", 2), ("finished", "same computation", 2),
    ]  # fmt: skip
    assert written["cells"][1]["ratios"]["tokens_per_second"]["rounds"] == 2


REPORTS = ("report.md", "report.html", "report.json")


def test_a_report_is_rewritten_byte_for_byte(run: Run, stopped: Stopped) -> None:
    before = {name: (stopped.root / name).read_bytes() for name in REPORTS}
    for name in REPORTS:
        (stopped.root / name).unlink()
    done = run("bench", "report", stopped.root)
    assert done.code == 0, done.err
    assert {name: (stopped.root / name).read_bytes() for name in REPORTS} == before


def test_what_is_finished_is_known_to_a_dry_run(
    run: Run, stopped: Stopped, site: Path, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It tells how long the rest will take from what ran, and writes nothing."""
    monkeypatch.syspath_prepend(site)
    registry.cache_clear()
    before = {path: path.read_bytes() for path in stopped.root.rglob("*") if path.is_file()}
    asked = (
        "bench", "run", data, "--model", "tiny-qwen", "--backend", "peft", "--backend", "bench-honest", "--steps", "6",
        "--batch-size", "4", "--micro-batch", "2", "--dtype", "fp32", "--device", "cpu", "--warmup-steps", "2", "--out",
        stopped.root, "--dry-run", "--repeat",
    )  # fmt: skip
    done = run(*asked, "2")
    assert done.code == 0, done.err
    assert done.out.count("finished") == 2
    assert "about 0 s (from what ran already)" in done.out
    more = run(*asked, "3")
    assert more.out.count("1 × ") == 2
    assert {path: path.read_bytes() for path in stopped.root.rglob("*") if path.is_file()} == before


def test_an_unavailable_cell_has_its_verdict_before_anything_runs(
    run: Run, site: Path, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(site)
    registry.cache_clear()
    backends = ("--backend", "peft", "--backend", "bench-absent")
    done = run("bench", "run", data, "--model", "tiny-qwen", *backends, "--out", tmp_path / "out", "--dry-run")
    assert done.code == 0, done.err
    assert "bench-absent" in done.out
    assert "needs a device that nobody has" in done.out
    assert not (tmp_path / "out").exists()


# Regressions


def copied(stopped: Stopped, target: Path, factor: float) -> Path:
    """The same comparison in three rounds, in which the steps of one cell took other times."""
    shutil.copytree(stopped.root, target)
    record = read_record(ResultFolder(target))
    (target / "suite.json").write_bytes(to_json(replace(record, suite=replace(record.suite, repeat=3))))
    for path in (target / "runs").iterdir():
        path.unlink()
    slugs = {cell.name: cell.slug for cell in record.cells}
    for content in stopped.kept[-1].values():
        first = from_json(content, RunResult, "a result")
        if first.round == 1:
            for number in (1, 2, 3):
                slow = (factor if first.cell == "bench-honest" else 1.0) * (1 + number / 1000)
                steps = tuple(replace(step, seconds=step.seconds * slow) for step in first.steps)
                ResultFolder(target).keep(slugs[first.cell], replace(first, round=number, steps=steps))
    return target


def test_a_regression_has_an_exit_code_of_its_own(run: Run, stopped: Stopped, tmp_path: Path) -> None:
    old, same, slow = (copied(stopped, tmp_path / name, f) for name, f in (("old", 1), ("same", 1), ("slow", 1.5)))
    noise = run("bench", "diff", old, same, "--json")
    assert noise.code == 0, noise.err
    assert not [change for change in json.loads(noise.out)["changes"] if change["verdict"] == "regression"]
    worse = run("bench", "diff", old, slow, "--json")
    assert worse.code == 3
    (change,) = [change for change in json.loads(worse.out)["changes"] if change["verdict"] == "regression"]
    assert (change["cell"], change["measure"]) == ("bench-honest", "tokens_per_second")
    assert run("bench", "diff", old, slow).code == 3
    assert run("bench", "diff", slow, old).code == 0  # faster is no regression
    assert run("bench", "diff", old, slow, "--threshold", "0.9").code == 0


def test_a_report_can_stand_for_its_folder(run: Run, stopped: Stopped, tmp_path: Path) -> None:
    slow = copied(stopped, tmp_path / "slow", 1.5)
    assert run("bench", "report", slow).code == 0
    assert run("bench", "diff", copied(stopped, tmp_path / "old", 1), slow / "report.json").code == 3


@pytest.mark.parametrize("command", [("report",), ("diff", "{out}")])
def test_a_folder_that_is_none_is_a_sentence(
    run: Run, stopped: Stopped, tmp_path: Path, command: tuple[str, ...]
) -> None:
    given = [word.format(out=stopped.root) for word in command]
    missing = run("bench", *given, tmp_path / "none")
    assert (missing.code, "there is no folder" in missing.err) == (2, True)
    (tmp_path / "empty").mkdir()
    empty = run("bench", *given, tmp_path / "empty")
    assert (empty.code, "there are no results in" in empty.err) == (2, True)
