"""What the ``trl`` backend says of itself, and how many packed rows it takes: without TRL."""

from __future__ import annotations

import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from graftlm.api import Batch, RunError
from graftlm.contracts.model import FamilyFacts
from graftlm.contracts.situation import Probe, Situation
from graftlm_plugins.backends import trainer_parts
from graftlm_plugins.backends.trl import TrlTrainer, graftlm_backends
from graftlm_plugins.backends.trl_packing import packed_batches, packing_reasons

FACTS = FamilyFacts(attention=("q",), mlp=("up",), packing=("eager", "sdpa"))
ALONE = FamilyFacts(attention=("q",), mlp=("up",))
(SPEC,) = graftlm_backends()


def situation(facts: FamilyFacts = FACTS, **fields: Any) -> Situation:
    given = {"device": "cpu", "dtype": "fp32", **fields}
    return Situation(facts=facts, config={}, probe=Probe(python="3.11", versions={}, devices=()), **given)


def plan(facts: FamilyFacts, packing: bool, packed: bool = False) -> Any:
    return SimpleNamespace(
        options={"backend": {"packing": packing}},
        model=SimpleNamespace(facts=facts),
        load=SimpleNamespace(attention="sdpa"),
        training=SimpleNamespace(packing=packed),
    )


class TestSpec:
    def test_the_environment_has_what_the_base_may_have_and_trl(self) -> None:
        needed = SPEC.environment.requirements
        assert {"torch>=2.11,<2.14", "transformers>=5.17,<5.24", "peft>=0.21,<0.22", "trl>=1.16,<1.17"} <= set(needed)
        assert SPEC.requires == ()  # nothing of it has to be in the base environment

    def test_it_refuses_what_it_would_get_wrong(self) -> None:
        assert SPEC.supports(situation()) == []
        assert "fp16 on a CPU" in SPEC.supports(situation(dtype="fp16"))[0]
        assert SPEC.supports(situation(dtype="fp16", device="cuda")) == []
        own = FamilyFacts(attention=("q",), mlp=("up",), remote_code=True)
        assert "transformers' own architectures" in SPEC.supports(situation(own))[0]


class TestPrepare:
    def test_nobody_is_told_what_is_trained(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        for name in ("HF_HUB_DISABLE_TELEMETRY", "HF_DATASETS_CACHE"):
            monkeypatch.setenv(name, "before")
        TrlTrainer().prepare(plan(FACTS, packing=True), tmp_path)
        assert os.environ["HF_HUB_DISABLE_TELEMETRY"] == "1"
        assert Path(os.environ["HF_DATASETS_CACHE"]).parent == tmp_path

    def test_packing_is_refused_where_samples_would_see_each_other(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for name in ("HF_HUB_DISABLE_TELEMETRY", "HF_DATASETS_CACHE"):
            monkeypatch.setenv(name, "before")
        with pytest.raises(RunError, match="see each other here with sdpa attention: leave"):
            TrlTrainer().prepare(plan(ALONE, packing=True), tmp_path)
        TrlTrainer().prepare(plan(ALONE, packing=False), tmp_path)
        with pytest.raises(RunError, match="an accelerator packs already"):
            TrlTrainer().prepare(plan(FACTS, packing=True, packed=True), tmp_path)
        TrlTrainer().prepare(plan(FACTS, packing=False, packed=True), tmp_path)

    def test_a_reason_names_the_attention_that_would_do(self) -> None:
        assert packing_reasons(FACTS, "sdpa") == ()
        flash = FamilyFacts(attention=("q",), mlp=("up",), packing=("flash_attention_2",))
        assert "(exact with flash_attention_2)" in packing_reasons(flash, "sdpa")[0]


class TestPackedBatches:
    def given(self, **changed: Any) -> Any:
        usual = {"rows": 40, "tokens": 20_000, "planned": 2_000.0, "batch_size": 16, "micro_batch": 4}
        return packed_batches(**{**usual, "attention": "sdpa", **changed})

    def test_a_step_holds_about_the_plan_s_tokens(self) -> None:
        batches = self.given()
        assert (batches.rows, batches.at_once, batches.passes) == (4, 1, 4)
        assert batches.ratio == pytest.approx(1.0)
        assert self.given(planned=2_100.0).rows == 4
        assert self.given(planned=2_800.0).rows == 6  # 7 steps an epoch; with 5 rows it would be 8

    def test_one_row_is_the_least(self) -> None:
        batches = self.given(planned=100.0)
        assert (batches.rows, batches.passes, batches.ratio) == (1, 1, 5.0)

    def test_an_epoch_is_the_most(self) -> None:
        batches = self.given(rows=3, tokens=1_500, planned=9_000.0)
        assert batches.rows == 3
        assert batches.ratio == pytest.approx(1 / 6)

    def test_only_flash_attention_gets_several_rows_at_once(self) -> None:
        batches = self.given(planned=3_000.0, attention="flash_attention_2")
        assert (batches.rows, batches.at_once, batches.passes) == (6, 3, 2)


class TestParts:
    def test_packed_rows_have_positions_and_no_mask(self) -> None:
        ids = torch.tensor([[5, 6, 7]])
        packed = Batch(ids=ids, labels=ids, mask=None, tokens=3, trained=2, positions=torch.tensor([[0, 1, 0]]))
        padded = Batch(ids=ids, labels=ids, mask=torch.ones_like(ids), tokens=3, trained=2)
        batches = trainer_parts.MicroBatches(SimpleNamespace(micro_batches=lambda: [packed, padded]))
        known = {"input_ids", "labels", "use_cache"}
        assert [set(batch) - known for batch in batches] == [{"position_ids"}, {"attention_mask"}]
        assert not any(batch["use_cache"] for batch in batches)

    def test_no_forward_of_another_stays(self) -> None:
        model = torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.Linear(2, 2))
        own = model[1].forward = lambda x: x  # an accelerator's, there before
        with trainer_parts.forwards_restored(model):
            model.forward = model[0].forward = model[1].forward = lambda x: None
            model._original_forward = None
        assert model[1].forward is own
        assert not {"forward", "_original_forward"} & (model.__dict__.keys() | model[0].__dict__.keys())
