"""What is asked of a backend: on the same encoded batches it gives the losses of ten lines of transformers and PEFT."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import pytest

from graftlm.contracts.config import RunConfig
from graftlm.contracts.outcome import Outcome
from graftlm.contracts.plan import Plan
from graftlm.planning.resolve import resolve
from graftlm.running.train import Trained, carry_out
from graftlm_registry.adapters import open_store
from graftlm_registry.plugins import registry

from .in_process import start_in_process


@dataclass(frozen=True)
class Kept:
    """A finished run, with the files that are cleared away otherwise."""

    plan: Plan
    trained: Trained
    files: Path

    @property
    def losses(self) -> tuple[float, ...]:
        return self.trained.outcome.losses


class BackendSuite:
    """Subclass and name the backend; ``models`` are built-in ones to train."""

    backend: ClassVar[str]
    models: ClassVar[tuple[str, ...]] = ("tiny-mistral",)
    tolerance: ClassVar[float] = 2e-4
    """Largest difference of a step's loss from the reference, in nats a token (fp32)."""

    @pytest.fixture(autouse=True)
    def _home(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("GRAFTLM_HOME", str(tmp_path / "graftlm"))
        self.folder = tmp_path

    def train(self, model: str, **settings: Any) -> Kept:
        """A short run in fp32 on rows of unequal length."""
        data = self.folder / "rows.jsonl"
        rows = ({"input": f"Say {'very ' * (i % 5)}{i}", "output": f"{i}{'!' * (i % 4)}"} for i in range(30))
        data.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
        asked: dict[str, Any] = {
            "max_steps": 6, "batch_size": 8, "micro_batch": 8, "learning_rate": 3e-3, "dtype": "fp32", "device": "cpu",
            "retention": False, "test_split": 0.0, "seed": 3, **settings,
        }  # fmt: skip
        plan = resolve(RunConfig(data=str(data), model=model, backend=self.backend, **asked), registry())
        files = self.folder / f"kept-{len(list(self.folder.glob('kept-*')))}"

        def keep(plan: Plan, outcome: Outcome, run: Path) -> None:
            shutil.copytree(run, files)

        return Kept(plan, carry_out(plan, registry(), lambda event: None, also=keep, start=start_in_process), files)

    def test_the_losses_are_the_reference_s_step_for_step(self) -> None:
        for model in self.models:
            kept = self.train(model)
            assert kept.losses == pytest.approx(reference_losses(kept), abs=self.tolerance), model

    def test_micro_batches_of_one_give_the_losses_of_eight(self) -> None:
        whole = self.train(self.models[0], micro_batch=8).losses
        assert self.train(self.models[0], micro_batch=1).losses == pytest.approx(whole, abs=self.tolerance)

    def test_the_same_plan_gives_the_same_adapter(self) -> None:
        one, other = self.train(self.models[0]), self.train(self.models[0])
        assert one.plan.hash == other.plan.hash
        assert one.trained.outcome.digest == other.trained.outcome.digest
        assert one.losses == other.losses

    def test_it_learns_and_leaves_the_base_alone(self) -> None:
        outcome = self.train(self.models[0], max_steps=30).trained.outcome
        assert outcome.losses[-1] < outcome.first_loss / 2
        assert outcome.proof.base_before == outcome.proof.base_after
        assert outcome.proof.effect > 0
        assert len(outcome.losses) == 30

    def test_checkpointing_is_on_where_it_is_asked_for_and_changes_no_loss(self) -> None:
        plain, kept = self.train(self.models[0]), self.train(self.models[0], gradient_checkpointing=True)
        assert not plain.trained.outcome.effective.gradient_checkpointing
        assert kept.trained.outcome.effective.gradient_checkpointing
        assert kept.losses == pytest.approx(plain.losses, abs=1e-5)

    def test_it_goes_on_from_an_adapter(self) -> None:
        parent = self.train(self.models[0], max_steps=30, name="parent")
        child = self.train(self.models[0], from_adapter="parent")
        assert child.trained.record.parents == ("parent@1",)
        assert child.losses[0] < parent.losses[0] / 2
        assert child.losses == pytest.approx(reference_losses(child), abs=self.tolerance)

    def test_it_trains_a_base_s_own_weights_in_full_precision(self) -> None:
        """A step that bf16 cannot tell from none is a step all the same."""
        slow = {"method": "full", "learning_rate": 1e-5, "schedule": "constant", "warmup": 0.0, "max_steps": 40}
        full = self.train(self.models[0], dtype="bf16", **slow).trained
        assert (full.record.kind, full.outcome.effective.dtype) == ("overlay", "bf16")
        exact = self.train(self.models[0], **slow).losses
        gained = exact[0] - exact[-1]
        assert gained > 0
        assert full.outcome.losses[0] - full.outcome.losses[-1] == pytest.approx(gained, rel=0.3)

    def test_the_adapter_is_plain_peft(self) -> None:
        """Read back by PEFT alone, it changes the logits by as much as it did in memory."""
        import torch
        from peft import PeftModel
        from transformers import AutoModelForCausalLM

        kept = self.train(self.models[0])
        folder = open_store().path(kept.trained.record.reference)
        assert {p.suffix for p in folder.iterdir()} == {".json", ".safetensors"}
        ids = torch.arange(20, 40)[None]
        with torch.inference_mode():
            base = AutoModelForCausalLM.from_pretrained(kept.plan.model.folder, dtype=torch.float32).eval()
            untuned = base(input_ids=ids).logits
            tuned = PeftModel.from_pretrained(base, folder).eval()(input_ids=ids).logits
        assert float((tuned - untuned).abs().max()) > 0.01

    def test_what_ran_is_on_record(self) -> None:
        effective = self.train(self.models[0]).trained.outcome.effective
        assert effective.backend == registry().find("backend", self.backend)[1].name
        assert effective.adapted_layers == sum(effective.adapted_modules.values()) > 0
        assert effective.loss


def reference_losses(kept: Kept) -> list[float]:
    """transformers and PEFT without a Trainer, each optimizer step in one forward pass."""
    import torch
    from peft import LoraConfig, get_peft_model
    from safetensors.torch import load_file
    from transformers import AutoModelForCausalLM

    plan, data = kept.plan, load_file(kept.files / "encoded" / "train.safetensors")
    model = AutoModelForCausalLM.from_pretrained(plan.model.folder, dtype=torch.float32)
    targets = list(plan.method.target_modules)
    model = get_peft_model(model, LoraConfig(r=plan.method.rank, lora_alpha=plan.method.alpha, target_modules=targets))
    model.load_state_dict(load_file(kept.files / "initial" / "adapter.safetensors"), strict=False)
    parameters = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(parameters, weight_decay=plan.training.weight_decay)
    rates = [event["learning_rate"] for event in _metrics(kept)]
    losses = []
    for samples, rate in zip(json.loads((kept.files / "encoded" / "order.json").read_text()), rates, strict=True):
        optimizer.param_groups[0]["lr"] = rate
        rows = [slice(int(data["offsets"][i]), int(data["offsets"][i + 1])) for i in samples]
        pad = torch.nn.utils.rnn.pad_sequence
        ids = pad([data["ids"][row].long() for row in rows], batch_first=True)
        labels = pad([data["labels"][row].long() for row in rows], batch_first=True, padding_value=-100)
        mask = pad([torch.ones(row.stop - row.start, dtype=torch.long) for row in rows], batch_first=True)
        loss = model(input_ids=ids, attention_mask=mask, labels=labels).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(parameters, plan.training.max_grad_norm)
        optimizer.step()
        optimizer.zero_grad()
        losses.append(loss.item())
    return losses


def _metrics(kept: Kept) -> list[Mapping[str, Any]]:
    lines = (kept.files / "events.jsonl").read_text(encoding="utf-8").splitlines()
    return [event for event in map(json.loads, lines) if event["event"] == "metric"]
