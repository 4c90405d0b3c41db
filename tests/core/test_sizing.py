"""How much is computed at a time, where that is left open."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import graftlm
from graftlm.contracts.errors import UsageError
from graftlm.contracts.plan import Plan
from graftlm.planning import resolve
from graftlm.planning.training_plan import micro_batches

Planned = Callable[..., Plan]


@pytest.fixture
def rows(tmp_path: Path) -> Path:
    path = tmp_path / "rows.jsonl"
    lines = ({"instruction": f"Say {n}.", "output": f"word {n} " * 200} for n in range(40))
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    return path


@pytest.fixture
def planned(home: Path, rows: Path, monkeypatch: pytest.MonkeyPatch) -> Planned:
    """A plan for a device with so many bytes to spare; ``room`` is None for this machine."""

    def plan(room: int | None = None, **asked: Any) -> Plan:
        if room is not None:
            monkeypatch.setattr(resolve, "memory_of", lambda probe, device: room)
        usual = {"model": "shape:qwen2.5-0.5b", "dtype": "bf16", "accelerator": "sdpa", "device": "cpu"}
        return graftlm.plan(data=str(rows), **{**usual, **asked})

    return plan


def needs(planned: Planned, micro: int, checkpointing: bool = False) -> int:
    """Bytes of a run whose sizes are said."""
    memory = planned(1 << 50, micro_batch=micro, gradient_checkpointing=checkpointing).memory
    assert memory is not None
    return memory.total


def test_the_usual_micro_batch_stays_where_it_fits(planned: Planned) -> None:
    plan = planned(needs(planned, 8))
    assert (plan.training.micro_batch, plan.training.gradient_checkpointing) == (8, False)
    assert plan.origins["micro_batch"] == plan.origins["gradient_checkpointing"] == "default"
    assert not any("(auto" in note for note in plan.notes)


def test_fewer_samples_are_taken_where_the_usual_number_does_not_fit(planned: Planned) -> None:
    plan = planned(needs(planned, 2))
    assert (plan.training.micro_batch, plan.training.gradient_checkpointing) == (2, False)
    assert plan.origins["micro_batch"] == "auto"
    assert plan.memory is not None
    assert plan.memory.fits
    (note,) = (note for note in plan.notes if "(auto" in note)
    assert re.fullmatch(r"micro-batch 2 \(auto: 8 would need \d+\.\d GiB of \d+\.\d GiB\)", note)


def test_a_number_that_was_asked_for_stays(planned: Planned) -> None:
    plan = planned(needs(planned, 2), micro_batch=8)
    assert (plan.training.micro_batch, plan.origins["micro_batch"]) == (8, "asked")
    assert any(note.startswith("it does not fit into memory") for note in plan.notes)


def test_auto_is_the_largest_that_fits(planned: Planned) -> None:
    for room, found in ((needs(planned, 4), 4), (needs(planned, 4) - 1, 2), (1 << 50, 16)):
        plan = planned(room, micro_batch="auto")
        assert plan.training.micro_batch == found
        assert plan.origins["micro_batch"] == "asked"
        assert any(note.startswith(f"micro-batch {found} (auto: ") for note in plan.notes)


def test_auto_takes_no_more_tokens_than_keep_a_device_busy(planned: Planned) -> None:
    whole = planned(1 << 50, micro_batch="auto", batch_size=4096, max_length=64)
    assert whole.memory is not None
    assert whole.memory.positions <= 16_384 < 2 * whole.memory.positions
    assert any("tokens a pass" in note for note in whole.notes)


def test_activations_are_computed_twice_only_where_one_sample_would_not_fit(planned: Planned) -> None:
    room = needs(planned, 1) - 1
    plan = planned(room)
    assert plan.training.gradient_checkpointing
    assert plan.memory is not None
    assert plan.memory.fits
    assert plan.origins["gradient_checkpointing"] == "auto"
    assert any(re.match(r"gradient checkpointing \(auto: one sample would need .* without", n) for n in plan.notes)
    said = planned(room, gradient_checkpointing=False)
    assert not said.training.gradient_checkpointing
    assert said.memory is not None
    assert not said.memory.fits


def test_where_nothing_fits_nothing_is_changed(planned: Planned) -> None:
    plan = planned(1_000_000)
    assert (plan.training.micro_batch, plan.training.gradient_checkpointing) == (8, False)
    assert not any("(auto" in note for note in plan.notes)


def test_without_an_estimate_the_usual_micro_batch_is_taken(planned: Planned) -> None:
    assert planned(0, micro_batch="auto").training.micro_batch == 8  # a device that does not tell its memory


def test_the_table_says_what_was_chosen(run: Callable[..., Any], alpaca: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "300")
    asked = ("plan", alpaca, "--model", "tiny-qwen", "--batch-size", "12")
    assert "of 12 samples (12 (auto) a forward pass" in run(*asked, "--micro-batch", "auto").out
    assert "of 12 samples (6 a forward pass" in run(*asked, "--micro-batch", "6").out
    said = run(*asked, "--micro-batch", "many")
    assert said.code == 2
    assert "'many' is neither an integer nor auto" in said.err


def test_other_words_are_refused(home: Path, alpaca: Path) -> None:
    with pytest.raises(UsageError, match="must be a whole number or auto"):
        graftlm.plan(data=str(alpaca), model="tiny-qwen", micro_batch="many")


@pytest.mark.parametrize("batch", [1, 2, 12, 16, 97])
def test_micro_batches_are_the_divisors(batch: int) -> None:
    assert micro_batches(batch) == [n for n in range(batch, 0, -1) if batch % n == 0]


def test_a_run_does_what_was_chosen(home: Path, rows: Path, monkeypatch: pytest.MonkeyPatch, planned: Planned) -> None:
    asked = {"model": "tiny-qwen", "dtype": "fp32", "retention": False, "test_split": 0.0, "max_steps": 1,
             "overlong": "truncate-right"}  # fmt: skip
    least = planned(1 << 50, micro_batch=1, gradient_checkpointing=True, **asked).memory
    assert least is not None
    monkeypatch.setattr(resolve, "memory_of", lambda probe, device: least.total)
    outcome = graftlm.train(data=str(rows), accelerator="sdpa", device="cpu", **asked)
    assert outcome.effective.gradient_checkpointing
    assert outcome.effective.micro_batch == 1
    assert outcome.memory is not None
    assert outcome.memory.training <= least.total
