"""The plan's estimate of memory for packed rows, and for logits that are never all there."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import graftlm
from graftlm.contracts.load import LoadPlan
from graftlm.contracts.model import FamilyFacts
from graftlm.contracts.plan import MemoryPlan, Plan
from graftlm.contracts.specs import ModelFamily
from graftlm.planning.memory import estimate
from graftlm_registry.plugins import registry

CONFIG = {
    "model_type": "qwen2", "hidden_size": 896, "intermediate_size": 4864, "num_hidden_layers": 24,
    "num_attention_heads": 14, "num_key_value_heads": 2, "vocab_size": 151936, "tie_word_embeddings": True,
    "max_position_embeddings": 32768,
}  # fmt: skip
CHUNK = 64 << 20


def facts() -> FamilyFacts:
    return registry().get(ModelFamily, "qwen").facts(CONFIG)


def planned(**changes: Any) -> MemoryPlan:
    given: dict[str, Any] = {
        "bits": 0, "trained": 8_798_208, "keeps": "adapter", "samples": 4, "tokens": 1024, "checkpointing": False,
        "device": "cuda", "available": 1 << 40,
    }  # fmt: skip
    load = LoadPlan(name="model", dtype="bf16", attention="sdpa")
    return estimate(facts(), load=load, **{**given, **changes})


def test_a_packed_row_is_reckoned_by_the_lengths_of_its_samples() -> None:
    long, short = planned(longest=[1024] * 8), planned(longest=[1024, *[128] * 7])
    assert short.activations == pytest.approx(long.activations * (1024 + 3 * 128) / 4096, rel=0.02)
    assert planned(longest=[1024] * 8, tokens=512).activations == pytest.approx(long.activations / 2, rel=0.02)


def test_rows_that_are_not_among_the_longest_are_taken_as_long_as_the_half_of_these() -> None:
    """The second half of the known ones is not relied on: a row that is not among them may be longer."""
    few = planned(longest=[1000, 800, 10, 10], samples=4)
    assert few.activations == planned(longest=[1000, 800, 800, 800] * 2, samples=4).activations
    assert planned(longest=[1000], samples=4).activations == planned(longest=[1000] * 8, samples=4).activations


def test_logits_in_chunks_do_not_grow_with_the_row() -> None:
    two, four = (planned(logits=CHUNK, longest=[1024] * 8, samples=n) for n in (2, 4))
    assert two.logits < planned(samples=2).logits / 4
    hidden = 3 * 2 * 1024 * 896 * 2
    assert four.logits - two.logits == hidden
    assert planned(logits=1 << 50).logits - 3 * 4 * 1024 * 896 * 2 == planned().logits


@pytest.fixture
def data(tmp_path: Path) -> Path:
    path = tmp_path / "rows.jsonl"
    rows = [{"instruction": f"Say {n}.", "output": "and so on " * (60 if n == 0 else 2)} for n in range(40)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


ASKED: dict[str, Any] = {"model": "tiny-qwen", "device": "cpu", "retention": False, "batch_size": 8, "micro_batch": 8}


def plan_of(data: Path, **changes: Any) -> Plan:
    return graftlm.plan(data=str(data), **ASKED, **changes)


def test_what_an_accelerator_saves_is_in_the_plan(home: Path, data: Path) -> None:
    plain, packed, fewer = (plan_of(data, accelerator=a).memory for a in ("sdpa", "varlen", "varlen+supervised-logits"))
    assert plain is not None
    assert packed is not None
    assert fewer is not None
    assert packed.activations < plain.activations / 2  # one long row, seven short ones
    assert packed.logits < plain.logits / 2
    assert fewer.activations == packed.activations


@pytest.mark.parametrize("changes", [{}, {"gradient_checkpointing": True}, {"method": "full"}])
def test_a_packed_run_takes_no_more_than_its_plan_says(home: Path, data: Path, changes: dict[str, Any]) -> None:
    memory = plan_of(data, max_steps=3, **changes).memory
    outcome = graftlm.train(data=str(data), **ASKED, max_steps=3, **changes)
    assert memory is not None
    assert outcome.memory is not None
    assert outcome.memory.training <= memory.total
