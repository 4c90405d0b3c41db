"""Packed batches say what padded ones say, and train as they do."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from flash_stand_in import registered
from hypothesis import given
from hypothesis import strategies as st

from graftlm.api import Accelerator, Backend, Batch
from graftlm.contracts.config import RunConfig
from graftlm.encoding.rows import EncodedRows
from graftlm.planning.resolve import resolve
from graftlm.running.train import Trained, carry_out
from graftlm.testing.in_process import start_in_process
from graftlm.worker.batches import MicroBatches, collate, collate_packed
from graftlm_registry.plugins import registry

IGNORED = -100
SAME = 1e-5
"""Nats a token in fp32."""
PACKED = Accelerator(
    name="packed-sdpa", summary="sdpa over packed samples", claims=("attention",), attention="sdpa", packs=True,
    patches={},
)  # fmt: skip
Pair = tuple[tuple[int, ...], int]

token = st.integers(0, 99)
sample = st.lists(st.tuples(token, st.booleans()), min_size=1, max_size=12)


def rows_of(samples: Sequence[Sequence[tuple[int, bool]]]) -> EncodedRows:
    """Each token with whether it is trained, the first of a sample too."""
    flat = [pair for one in samples for pair in one]
    ids = np.array([i for i, _ in flat], dtype=np.int32)
    labels = np.array([i if trained else IGNORED for i, trained in flat], dtype=np.int32)
    offsets = np.cumsum([0, *map(len, samples)], dtype=np.int64)
    return EncodedRows(ids, labels, offsets, np.arange(len(samples), dtype=np.int32))


def learned(batch: Batch) -> Iterator[Pair]:
    """What a causal model learns: the token after each context, which begins where its sample does."""
    for row in range(len(batch.ids)):
        ids, labels = batch.ids[row].tolist(), batch.labels[row].tolist()
        positions = range(len(ids)) if batch.positions is None else batch.positions[row].tolist()
        for i in range(len(ids) - 1):  # the logits at i are for the label at i + 1
            if labels[i + 1] != IGNORED:
                assert batch.mask is None or bool(batch.mask[row, i + 1])
                yield tuple(ids[i - positions[i] : i + 1]), labels[i + 1]


@given(st.lists(sample, min_size=1, max_size=6), st.randoms())
def test_packed_samples_teach_what_padded_ones_teach(samples: list[list[tuple[int, bool]]], random: Any) -> None:
    rows, chosen = rows_of(samples), list(range(len(samples)))
    random.shuffle(chosen)
    padded, packed = collate(rows, chosen), collate_packed(rows, chosen)
    assert list(learned(packed)) == list(learned(padded))
    assert (packed.trained, packed.tokens) == (padded.trained, padded.tokens)
    assert packed.trained == len(list(learned(packed)))
    assert packed.ids.shape == packed.labels.shape == (1, packed.tokens)
    assert packed.positions is not None
    assert [len(samples[i]) for i in chosen] == np.diff([*_starts(packed.positions[0]), packed.tokens]).tolist()
    assert packed.ids.dtype == packed.labels.dtype == packed.positions.dtype == torch.int64


def _starts(positions: torch.Tensor) -> list[int]:
    return [i for i, position in enumerate(positions.tolist()) if position == 0]


def test_packing_changes_nothing_of_the_rows() -> None:
    """They are read again in the next epoch, and by whoever proves the run."""
    rows = rows_of([[(1, True), (2, True)], [(3, True), (4, False), (5, True)]])
    before = rows.labels.copy()
    collate_packed(rows, [0, 1])
    assert (rows.labels == before).all()
    assert rows.labels[0] == 1  # what must be hidden in a batch


def test_a_model_is_given_positions_and_neither_mask_nor_cache() -> None:
    rows = rows_of([[(1, False), (2, True)], [(3, False), (4, True), (5, True)]])
    for batch in MicroBatches(rows, [[0, 1]], 2, collate_packed):
        given = batch.inputs("cpu")
        assert set(given) == {"input_ids", "position_ids", "use_cache"}
        assert given["position_ids"].tolist() == [[0, 1, 0, 1, 2]]
        assert given["use_cache"] is False


def test_a_mask_that_hides_something_is_passed_on_and_no_other() -> None:
    rows = rows_of([[(1, False), (2, True)], [(3, False), (4, True), (5, True)]])
    assert collate(rows, [0, 1]).inputs("cpu")["attention_mask"].tolist() == [[1, 1, 0], [1, 1, 1]]
    assert set(collate(rows, [1, 1]).inputs("cpu")) == {"input_ids", "use_cache"}


@pytest.fixture
def data(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Rows of unequal lengths, and the accelerator that packs them."""
    registered(monkeypatch, PACKED)
    path = tmp_path / "rows.jsonl"
    rows = ({"input": f"Say {'very ' * (i % 7)}{i}", "output": f"{i}{'!' * (i % 5)}"} for i in range(40))
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def trained(data: Path, **settings: Any) -> Trained:
    asked: dict[str, Any] = {
        "max_steps": 6, "batch_size": 8, "micro_batch": 8, "learning_rate": 3e-3, "dtype": "fp32", "device": "cpu",
        "retention": False, "test_split": 0.1, "val_split": 0.2, "eval_every": 2, "seed": 3, **settings,
    }  # fmt: skip
    plan = resolve(RunConfig(data=str(data), **asked), registry())
    return carry_out(plan, registry(), lambda event: None, start=start_in_process)


def same_runs(data: Path, **settings: Any) -> Trained:
    """The packed run, after it was compared with the padded one step by step."""
    padded = trained(data, accelerator="sdpa", **settings).outcome
    run = trained(data, accelerator="packed-sdpa", **settings)
    packed = run.outcome
    assert (padded.effective.packing, packed.effective.packing) == (False, True)
    assert packed.effective.attention == "sdpa"
    assert packed.losses == pytest.approx(padded.losses, abs=SAME)
    assert [step for step, _ in packed.validation] == [step for step, _ in padded.validation] == [2, 4, 6]
    assert [v for _, v in packed.validation] == pytest.approx([v for _, v in padded.validation], abs=SAME)
    assert packed.tokens == padded.tokens
    assert packed.proof.effect == pytest.approx(padded.proof.effect, rel=0.01)
    return run


@pytest.mark.parametrize("model", ["tiny-mistral", "tiny-qwen", "tiny-glm"])
@pytest.mark.parametrize("backend", ["peft", "trainer"])
def test_a_packed_run_is_the_padded_run(data: Path, model: str, backend: str) -> None:
    outcome = same_runs(data, model=model, backend=backend).outcome
    assert outcome.losses[-1] < outcome.first_loss


@pytest.mark.parametrize("backend", ["peft", "trainer"])
def test_micro_batches_and_checkpointing_leave_it_so(data: Path, backend: str) -> None:
    asked = {"model": "tiny-mistral", "backend": backend, "micro_batch": 2, "gradient_checkpointing": True}
    assert same_runs(data, **asked).outcome.effective.gradient_checkpointing


@pytest.mark.parametrize("backend", ["peft", "trainer"])
def test_whole_documents_are_packed_so_too(data: Path, backend: str, tmp_path: Path) -> None:
    """Their first token is a label, which in a row belongs to nobody."""
    texts = tmp_path / "texts.jsonl"
    texts.write_text("".join(json.dumps({"text": f"{i} and {'so ' * (i % 6)}on"}) + "\n" for i in range(40)))
    same_runs(texts, model="tiny-qwen", backend=backend, max_steps=6)


def test_a_backend_that_cannot_pack_is_refused(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    registered(
        monkeypatch, Backend(name="padding", summary="a loop", target="graftlm_plugins.backends.peft:PeftTrainer")
    )

    def problems(accelerator: str) -> tuple[str, ...]:
        asked = RunConfig(data=str(data), model="tiny-mistral", backend="padding", accelerator=accelerator)
        return resolve(asked, registry()).problems

    assert problems("sdpa") == ()
    (problem,) = problems("packed-sdpa")
    assert "lays samples into one row without padding, which backend padding cannot train on" in problem
