"""What a run leaves to be looked at: a picture of its losses, and a summary with answers."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from conftest import Said

from graftlm.cli.results import outcome_json, outcome_text
from graftlm.contracts.config import RunConfig
from graftlm.contracts.outcome import Outcome, Spike
from graftlm.planning.resolve import resolve
from graftlm.running.curves import extremes, running_median
from graftlm.running.loss_picture import save_loss_picture
from graftlm.running.train import Trained, carry_out
from graftlm.testing.in_process import start_in_process
from graftlm_registry.plugins import registry
from graftlm_registry.runs import Run


@pytest.fixture
def trained(home: Path, alpaca: Path) -> Trained:
    settings = {"model": "tiny-falcon", "max_steps": 12, "learning_rate": 5e-3, "retention": False, "test_split": 0.0}
    plan = resolve(RunConfig(data=str(alpaca), **settings, val_split=0.2, name="seen"), registry())
    return carry_out(plan, registry(), lambda event: None, start=start_in_process)


def drawn(trained: Trained, outcome: Outcome, folder: Path) -> str:
    """The text of the picture."""
    folder.mkdir(exist_ok=True)
    rates = [1e-3 / step for step in range(1, len(outcome.losses) + 1)]
    save_loss_picture(Run(trained.run).plan(), outcome, rates, folder)
    assert (folder / "loss.png").read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
    return (folder / "loss.svg").read_text(encoding="utf-8")


def test_a_stranger_finds_the_picture_and_the_summary(trained: Trained) -> None:
    """They are the last lines that a run prints, and stand in its JSON."""
    picture, summary = (trained.run / name for name in ("loss.png", "summary.json"))
    assert outcome_text(trained).splitlines()[-3:] == [
        "kept as seen@1", f"losses as a picture: {picture}", f"summary, with answers: {summary}"
    ]  # fmt: skip
    said = json.loads(outcome_json(trained))
    assert (said["picture"], said["summary"], said["run"]) == (str(picture), str(summary), trained.run.name)
    picture.unlink()
    assert json.loads(outcome_json(trained))["picture"] is None
    assert "picture" not in outcome_text(trained)


def test_without_test_rows_a_few_others_are_answered(trained: Trained) -> None:
    said = json.loads((trained.run / "summary.json").read_text(encoding="utf-8"))
    assert said["answered_rows"] == "validation, or training"
    assert len(said["answers"]) == 5
    for answer in said["answers"]:
        assert "Name the colour." in answer["question"]
        assert answer["expected"] in ("red", "blue")
        assert isinstance(answer["before"], str)
    assert any(answer["before"] != answer["after"] for answer in said["answers"])


def test_what_happened_is_told_and_drawn(trained: Trained, tmp_path: Path) -> None:
    spikes = tuple(Spike(step=step, loss=9.0 - step, usual=1.0) for step in (1, 2, 3, 4))
    outcome = replace(trained.outcome, spikes=spikes, resumed=(1, 3), too_large=(8, 4))
    text = drawn(trained, outcome, tmp_path / "a")
    for words in ("stands out (4)", "gone on with (2)", "training", "validation", "seen@1", "learning rate"):
        assert words in text
    assert "kept: the best" not in text
    said = outcome_text(replace(trained, outcome=outcome))
    assert "stopped, and gone on with after steps 1, 3" in said
    assert f"no memory for micro-batches of 8, 4: trained with {outcome.effective.micro_batch}" in said
    assert "losses that stand out: 8.0000 at step 1 (usually 1.0000), 7.0000 at step 2" in said
    assert said.count("and 1 more") == 1
    plain = drawn(trained, trained.outcome, tmp_path / "b")
    assert "stands out" not in plain
    assert "gone on" not in plain + outcome_text(trained)


def test_any_run_can_be_drawn_quickly(trained: Trained, tmp_path: Path) -> None:
    long = tuple(3 / step for step in range(1, 40_001))
    for losses in ((2.5,), (1.0, 0.0), (1e-9, 5.0, 1e4), (1.0,) * 300, long):
        outcome = replace(trained.outcome, losses=losses, validation=((1, losses[0]),), kept_step=1)
        began = time.process_time()  # matplotlib is imported: the run has drawn already
        text = drawn(trained, outcome, tmp_path / "a")
        assert time.process_time() - began < 2  # a quarter of a second, mostly
        assert ("running median" in text) == (len(losses) >= 200)
        assert ("kept: the best" in text) == (len(losses) > 1)


def test_a_long_series_keeps_what_stands_out() -> None:
    values = [math.sin(i / 50) for i in range(100_000)]
    values[54_321], values[77_777] = 40.0, -40.0
    steps, kept = extremes(values, most=1000)
    assert len(steps) <= 1000
    assert steps == sorted(set(steps))
    assert [pair for pair in zip(steps, kept, strict=True) if abs(pair[1]) > 2] == [(54_322, 40.0), (77_778, -40.0)]
    assert extremes([3.0, 1.0], most=2) == ([1, 2], [3.0, 1.0])
    assert extremes([]) == ([], [])


def test_a_running_median_does_not_follow_a_spike() -> None:
    steps, middle = running_median([1.0] * 500 + [50.0] + [1.0] * 499)
    assert set(middle) == {1.0}
    assert (steps[0], steps[-1]) == (1, 1000)
    assert running_median([2.0]) == ([1], [2.0])
    line = running_median([float(i) for i in range(1000)])[1]
    assert line == sorted(line)


def test_a_plan_says_when_checkpoints_are_kept(
    run: Callable[..., Said], alpaca: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "300")

    def said(*flags: str) -> str:
        out = run("plan", alpaca, "--model", "tiny-falcon", "--no-retention", *flags).out
        return next(line for line in out.splitlines() if line.startswith("checkpoints")).partition(" ")[2].strip()

    assert said() == "every 10 minutes and whenever it is stopped (graftlm runs resume)"
    both = said("--checkpoint-every", "50", "--checkpoint-minutes", "2.5")
    assert both == "every 50 steps, every 2.5 minutes and whenever it is stopped (graftlm runs resume)"
    assert said("--checkpoint-minutes", "0") == "whenever it is stopped (graftlm runs resume)"
    assert said("--backend", "trainer") == "none: with trainer, a run that is stopped begins again from nothing"
    for name, words in (("peft", "yes, from its last checkpoint"), ("trainer", "no: it begins again from nothing")):
        assert words in run("plugins", "show", f"backend/{name}").out
