"""The line that moves while a run goes on."""

from __future__ import annotations

import os
import sys
from typing import Any

import pytest

from graftlm.cli import progress
from graftlm.cli.progress import Pace, Progress

MIB = 1 << 20


def metric(step: int, *, steps: int = 100, **more: Any) -> dict[str, Any]:
    return {
        "event": "metric", "time": 1000.0 + 2 * step, "step": step, "steps": steps, "loss": 4 / step,
        "tokens_per_second": 1234.5, "memory": 300 * MIB, **more,
    }  # fmt: skip


@pytest.fixture
def live(monkeypatch: pytest.MonkeyPatch) -> Any:
    """A terminal of so many columns, that every event redraws."""
    monkeypatch.setattr(progress, "EVERY", 0.0)

    def of(columns: int) -> Progress:
        monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
        monkeypatch.setattr(progress.shutil, "get_terminal_size", lambda: os.terminal_size((columns, 24)))
        return Progress()

    return of


def drawn(capsys: pytest.CaptureFixture[str]) -> list[str]:
    """Each line that the terminal had, one after the other."""
    return [part.replace("\x1b[K", "") for part in capsys.readouterr().err.split("\r")[1:]]


def test_a_line_has_loss_speed_memory_and_time(live: Any, capsys: pytest.CaptureFixture[str]) -> None:
    shown = live(120)
    shown.on_event(metric(1))
    shown.on_event(metric(2, validation_loss=1.75))
    shown.on_event(metric(50))
    first, second, third = drawn(capsys)
    assert "left" not in first  # one step tells nothing: it may have warmed up
    assert second.endswith("2/100  loss 2.0000  validation 1.7500  1,234 tokens/s  300 MiB  3:16 left")
    assert third == f"{'━' * 10}{'╌' * 10} 50/100  loss 0.0800  validation 1.7500  1,234 tokens/s  300 MiB  1:40 left"


def test_time_left_counts_from_where_a_run_goes_on(live: Any, capsys: pytest.CaptureFixture[str]) -> None:
    shown = live(120)
    shown.on_event({"event": "resumed", "time": 1080.0, "step": 40, "steps": 100})
    shown.on_event(metric(41))
    said = drawn(capsys)
    assert said[0] == "goes on after step 40 of 100\n"
    assert said[-1].endswith("41/100  loss 0.0976  1,234 tokens/s  300 MiB  1:58 left")  # two seconds a step


def test_time_starts_anew_with_another_worker() -> None:
    pace = Pace()
    assert [pace.left(step, 10, time) for step, time in ((1, 0.0), (2, 5.0), (3, 10.0))] == [None, 40.0, 35.0]
    assert pace.left(1, 10, 500.0) is None  # from the beginning, with smaller micro-batches
    assert pace.left(2, 10, 501.0) == 8.0
    pace.resumed(1, 900.0)
    assert pace.left(2, 10, 903.0) == 24.0


def test_a_spike_is_marked_and_stays_known(live: Any, capsys: pytest.CaptureFixture[str]) -> None:
    shown = live(200)
    for step, more in ((1, {}), (2, {"usual_loss": 0.5}), (3, {}), (4, {"usual_loss": 0.5}), (5, {})):
        shown.on_event(metric(step, **more))
    lines = drawn(capsys)
    assert "loss 2.0000 ▲ (usually 0.5000)" in lines[1]
    assert lines[2].endswith("▲ at step 2")
    assert lines[4].endswith("▲ at step 4 and 1 more")
    shown.on_event({"event": "resumed", "time": 0.0, "step": 3, "steps": 100})
    shown.on_event(metric(4, usual_loss=0.5))  # the same step, done again
    shown.on_event(metric(5))
    assert drawn(capsys)[-1].endswith("▲ at step 4 and 1 more")


@pytest.mark.parametrize("columns", [20, 40, 79, 80, 81, 100, 300])
def test_no_line_wraps(live: Any, capsys: pytest.CaptureFixture[str], columns: int) -> None:
    shown = live(columns)
    for step in (1, 50, 100):
        shown.on_event(metric(step, validation_loss=1.5))
        shown.on_event({"event": "progress", "stage": "score " + "x" * 400, "done": 1, "total": 2})
    lines = drawn(capsys)
    assert len(lines) == 6
    assert all(0 < len(line) < columns for line in lines)
    if columns >= 80:
        assert all("left" in line for line in lines[2::2])


def test_a_file_gets_a_line_where_something_happened(capsys: pytest.CaptureFixture[str]) -> None:
    with Progress() as shown:
        shown.on_event({"event": "progress", "stage": "load", "done": 0, "total": 1})
        for step in range(1, 101):
            more = {25: {"validation_loss": 1.5}, 60: {"usual_loss": 0.01}, 100: {"validation_loss": 1.25}}
            shown.on_event(metric(step, **more.get(step, {})))
            if step == 30:
                shown.on_event({"event": "resumed", "time": 1060.0, "step": 30, "steps": 100})
        shown.on_event({"event": "warning", "message": "look"})
    said = capsys.readouterr().err.splitlines()
    assert [line.split()[1] if "/" in line else line for line in said] == [
        "25/100", "goes on after step 30 of 100", "60/100", "100/100", "Warning: look",
    ]  # fmt: skip
    assert "▲ (usually 0.0100)" in said[2]


def test_a_quiet_one_says_warnings_alone(capsys: pytest.CaptureFixture[str]) -> None:
    with Progress(quiet=True) as shown:
        for event in (metric(1, validation_loss=1.0), {"event": "resumed", "step": 1, "steps": 2}):
            shown.on_event(event)
        shown.on_event({"event": "warning", "message": "look"})
    assert capsys.readouterr().err == "Warning: look\n"
