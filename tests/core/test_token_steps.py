"""Optimizer steps that are cut by tokens: one rule, for the plan that counts them and for the run that takes them."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from itertools import chain, islice, pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import graftlm
from graftlm.contracts.errors import DataError, PluginError, UsageError
from graftlm.contracts.plan import Plan
from graftlm.encoding.order import steps
from graftlm.encoding.rows import load_rows
from graftlm.planning.encoded_rows import encoded_folder
from graftlm.planning.token_steps import token_steps
from graftlm_registry.adapters import open_store

LENGTHS = st.lists(st.integers(1, 200), min_size=1, max_size=40)


def cut(lengths: list[int], tokens: int, seed: int, count: int) -> list[list[int]]:
    return list(islice(steps(lengths, seed=seed, batch_size=0, tokens_per_step=tokens), count))


@given(LENGTHS, st.integers(1, 1000), st.integers(0, 9))
def test_every_sample_is_there_once_a_pass_and_every_step_is_near_the_tokens(
    lengths: list[int], tokens: int, seed: int
) -> None:
    found = cut(lengths, tokens, seed, 2 * len(lengths) + 2)
    assert found == cut(lengths, tokens, seed, 2 * len(lengths) + 2)
    flat = list(chain.from_iterable(found))
    for begin in range(0, len(flat) - len(lengths) + 1, len(lengths)):
        assert sorted(flat[begin : begin + len(lengths)]) == list(range(len(lengths)))
    for step, after in pairwise(found):
        size = sum(lengths[sample] for sample in step)
        assert len(step) == 1 or abs(size - tokens) <= max(lengths)
        assert size - tokens < max(lengths)
        assert abs(size + lengths[after[0]] - tokens) >= abs(size - tokens)  # another sample brings it no nearer
        assert len(step) == 1 or abs(size - lengths[step[-1]] - tokens) > abs(size - tokens)


@given(LENGTHS, st.integers(1, 1000), st.integers(1, 4))
def test_the_plan_counts_the_steps_that_are_taken(lengths: list[int], tokens: int, epochs: int) -> None:
    planned = token_steps(lengths, tokens, 3, epochs=epochs, most=None)
    found = cut(lengths, tokens, 3, planned.count)
    assert planned.samples == sum(map(len, found)) >= epochs * len(lengths)
    assert planned.samples - len(found[-1]) < epochs * len(lengths)
    assert planned.largest == max(map(len, found))
    assert min(Counter(chain.from_iterable(found)).values()) >= epochs
    assert token_steps(lengths, tokens, 3, epochs=epochs, most=2).count == 2


def test_batches_of_samples_are_cut_from_the_same_order() -> None:
    lengths = [5, 9, 2, 7, 7, 1]
    by_samples = chain.from_iterable(islice(steps(lengths, seed=4, batch_size=4), 3))
    by_tokens = chain.from_iterable(cut(lengths, 10, 4, 12))
    assert list(islice(by_samples, 12)) == list(islice(by_tokens, 12))


# ── in a run ─────────────────────────────────────────────────────────────────────────────────────────────────────────

TOKENS = 400


@pytest.fixture
def rows(home: Path, tmp_path: Path) -> Path:
    path = tmp_path / "rows.jsonl"
    lines = ({"instruction": f"Say {n}.", "output": f"{n} is so " * (1 + n * 7 % 30)} for n in range(40))
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    return path


def asked(rows: Path, **changes: Any) -> dict[str, Any]:
    usual = {"model": "tiny-qwen", "device": "cpu", "dtype": "fp32", "retention": False, "test_split": 0.0}
    return {"data": str(rows), **usual, "tokens_per_step": TOKENS, "epochs": 2.0, **changes}


def lengths_of(plan: Plan) -> list[int]:
    return load_rows(encoded_folder(plan.data.splits[0], plan.template, plan.encoding) / "rows.safetensors").lengths()


def test_a_run_takes_the_steps_of_its_plan(rows: Path) -> None:
    plan = graftlm.plan(**asked(rows))
    lengths = lengths_of(plan)
    found = cut(lengths, TOKENS, plan.training.seed, plan.training.steps)
    outcome = graftlm.train(**asked(rows))
    assert outcome.plan_hash == plan.hash
    assert (plan.training.batch_size, plan.training.tokens_per_step) == (0, TOKENS)
    assert len(outcome.losses) == plan.training.steps == len(found)
    assert len({len(step) for step in found}) > 1
    assert outcome.tokens == sum(lengths[sample] for step in found for sample in step)
    assert plan.training.epochs == pytest.approx(sum(map(len, found)) / len(lengths), abs=1e-4)
    assert outcome.adapter is not None
    known = open_store().get(outcome.adapter).hyperparameters
    assert (known.get("batch_size"), known["tokens_per_step"]) == (None, TOKENS)


def test_nothing_is_encoded_twice(rows: Path, home: Path) -> None:
    plan = graftlm.plan(**asked(rows))
    folder = encoded_folder(plan.data.splits[0], plan.template, plan.encoding)
    before = (folder / "rows.safetensors").stat()
    graftlm.train(**asked(rows, max_steps=1, epochs=None))
    after = (folder / "rows.safetensors").stat()
    assert (before.st_ino, before.st_mtime_ns) == (after.st_ino, after.st_mtime_ns)


def test_micro_batches_make_no_difference(rows: Path) -> None:
    whole, ones = (graftlm.train(**asked(rows, max_steps=3, epochs=None, micro_batch=n)).losses for n in (64, 3))
    assert ones == pytest.approx(whole, abs=1e-4)


def test_the_plan_says_it(rows: Path, run: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "300")
    said = run("plan", rows, "--model", "tiny-qwen", "--tokens-per-step", "4096", "--max-steps", "5").out
    assert "5 of about 4,096 tokens (16 a forward pass" in said  # what the model suggests
    auto = run("plan", rows, "--model", "tiny-qwen", "--tokens-per-step", str(TOKENS), "--micro-batch", "auto").out
    assert f"of about {TOKENS} tokens (" in auto
    assert "(auto) a forward pass" in auto


def test_only_backends_that_take_unequal_steps_follow(rows: Path) -> None:
    for backend in ("trainer", "trl", "unsloth"):
        plan = graftlm.plan(**asked(rows, backend=backend))
        assert any(f"does not follow --tokens-per-step {TOKENS}" in problem for problem in plan.problems), backend
    with pytest.raises(PluginError, match="does not follow --tokens-per-step"):
        graftlm.train(**asked(rows, backend="trainer"))


def test_samples_and_tokens_exclude_each_other(rows: Path) -> None:
    with pytest.raises(UsageError, match="--batch-size and --tokens-per-step exclude each other"):
        graftlm.plan(**asked(rows, batch_size=8))


def test_rows_that_cannot_be_trained_on_stop_the_plan(rows: Path) -> None:
    with pytest.raises(DataError, match="longer than --max-length 16"):
        graftlm.plan(**asked(rows, max_length=16))
