"""What is asked of a backend: on the same encoded batches it gives the losses of ten lines of transformers and PEFT."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from graftlm.contracts.config import RunConfig
from graftlm.contracts.errors import GraftlmError, Interrupted
from graftlm.contracts.outcome import Outcome
from graftlm.contracts.plan import Plan
from graftlm.contracts.specs import Backend
from graftlm.planning.resolve import resolve
from graftlm.running.supervise import supervise
from graftlm.running.train import Trained, carry_out, prepare
from graftlm_registry.adapters import open_store
from graftlm_registry.home import home
from graftlm_registry.plugins import registry

from .base_weights import changed_weights, frozen_weights
from .gaps import optional, skip_unless
from .in_process import start_in_process
from .numbers import furthest, near
from .stopping import stopping_after
from .suite import Suite


@dataclass(frozen=True)
class Kept:
    """A finished run, with the files that are cleared away otherwise."""

    plan: Plan
    trained: Trained
    files: Path

    @property
    def losses(self) -> tuple[float, ...]:
        return self.trained.outcome.losses


class BackendSuite(Suite):
    """Subclass and name the backend; ``models`` are built-in ones to train."""

    kind = "backend"
    backend: ClassVar[str]
    models: ClassVar[tuple[str, ...]] = ("tiny-mistral",)
    tolerance: ClassVar[float] = 2e-4
    """Largest difference of a step's loss from the reference, in nats a token (fp32)."""

    def setup_method(self) -> None:
        made = home() / "envs"
        super().setup_method()
        if made.is_dir():  # the environments of the home that is left for a while
            home().mkdir()
            (home() / "envs").symlink_to(made)

    def plan(self, model: str, **settings: Any) -> Plan:
        """A short run in fp32 on rows of unequal length."""
        self.needs_it_to_run()
        data = self.folder / "rows.jsonl"
        rows = ({"input": f"Say {'very ' * (i % 5)}{i}", "output": f"{i}{'!' * (i % 4)}"} for i in range(30))
        data.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
        asked: dict[str, Any] = {
            "max_steps": 6, "batch_size": 8, "micro_batch": 8, "learning_rate": 3e-3, "dtype": "fp32", "device": "cpu",
            "retention": False, "test_split": 0.0, "seed": 3, **settings,
        }  # fmt: skip
        return resolve(RunConfig(data=str(data), model=model, backend=self.backend, **asked), registry())

    def train(self, model: str, **settings: Any) -> Kept:
        """That run, carried out, and its files."""
        plan = self.plan(model, **settings)
        files = self.folder / f"kept-{len(list(self.folder.glob('kept-*')))}"

        def keep(plan: Plan, outcome: Outcome, run: Path) -> None:
            shutil.copytree(run, files)

        return Kept(plan, carry_out(plan, registry(), lambda event: None, also=keep, start=start_in_process), files)

    def test_the_losses_are_the_reference_s_step_for_step(self) -> None:
        for model in self.models:
            self.agrees(self.train(model), f"of {model}")

    def test_micro_batches_of_one_give_the_losses_of_eight(self) -> None:
        whole = self.train(self.models[0], micro_batch=8).losses
        found = self.train(self.models[0], micro_batch=1).losses
        assert near(found, whole, abs=self.tolerance), (
            f"micro-batches of one and of eight differ by {furthest(found, whole)}: a step's tokens must weigh the same"
        )

    def test_the_same_plan_gives_the_same_adapter(self) -> None:
        one, other = self.train(self.models[0]), self.train(self.models[0])
        assert one.plan.hash == other.plan.hash, "the same settings gave two plans"
        assert one.losses == other.losses, f"trained twice, its losses differ by {furthest(one.losses, other.losses)}"
        digests = [each.trained.outcome.digest for each in (one, other)]
        assert digests[0] == digests[1], (
            f"trained twice, the same plan gave two adapters, {digests[0]} and {digests[1]}"
        )

    def test_it_learns_and_leaves_the_base_alone(self) -> None:
        with frozen_weights() as frozen:
            kept = self.train(self.models[0], max_steps=30)
        outcome = kept.trained.outcome
        changed = changed_weights(frozen, Path(kept.plan.model.folder))
        assert not changed, f"an adapter was asked for, and training changed the base: {', '.join(changed[:3])}"
        first, last = outcome.first_loss, outcome.losses[-1]
        assert last < first / 2, f"after 30 steps the loss is {last:.3f}, and it was {first:.3f}: it does not learn"
        assert outcome.proof.base_before == outcome.proof.base_after, "training an adapter changed the base"
        assert outcome.proof.effect > 0, "the adapter changes nothing"
        assert len(outcome.losses) == 30, f"30 steps were asked for, and {len(outcome.losses)} told of"

    def test_checkpointing_is_on_where_it_is_asked_for_and_changes_no_loss(self) -> None:
        plain, kept = self.train(self.models[0]), self.train(self.models[0], gradient_checkpointing=True)
        assert not plain.trained.outcome.effective.gradient_checkpointing, "checkpointing ran where nobody asked for it"
        assert kept.trained.outcome.effective.gradient_checkpointing, "checkpointing was asked for, and did not run"
        assert near(kept.losses, plain.losses, abs=1e-5), (
            f"checkpointing changed a loss by {furthest(kept.losses, plain.losses)}"
        )

    def test_it_goes_on_from_an_adapter(self) -> None:
        parent = self.train(self.models[0], max_steps=30, name="parent")
        child = self.train(self.models[0], from_adapter="parent")
        assert child.trained.record.parents == ("parent@1",), (
            f"the parents on record are {child.trained.record.parents}"
        )
        began = child.losses[0]
        assert began < parent.losses[0] / 2, (
            f"it begins at {began:.3f}, as the base does: the parent's weights are lost"
        )
        self.agrees(child, "going on from an adapter")

    @optional
    def test_it_trains_a_base_s_own_weights_in_full_precision(self) -> None:
        """A step that bf16 cannot tell from none is a step all the same."""
        slow = {"method": "full", "learning_rate": 1e-5, "schedule": "constant", "warmup": 0.0, "max_steps": 40}
        against = self.plan(self.models[0], dtype="bf16", **slow).problems
        skip_unless(not against, "; ".join(against))
        full = self.train(self.models[0], dtype="bf16", **slow).trained
        kept = (full.record.kind, full.outcome.effective.dtype)
        assert kept == ("overlay", "bf16"), f"an overlay trained in bf16 was asked for, and it is {kept}"
        exact = self.train(self.models[0], **slow).losses
        gained, found = exact[0] - exact[-1], full.outcome.losses[0] - full.outcome.losses[-1]
        assert gained > 0, f"in fp32 the loss rises by {-gained:.2g} in 40 steps of full tuning"
        assert near(found, gained, rel=0.3), (
            f"in bf16 the loss falls by {found:.3g}, in fp32 by {gained:.3g}: small steps are lost in rounding"
        )

    def test_the_adapter_is_plain_peft(self) -> None:
        """Read back by PEFT alone, it changes the logits by as much as it did in memory."""
        import torch
        from peft import PeftModel
        from transformers import AutoModelForCausalLM

        kept = self.train(self.models[0])
        folder = open_store().path(kept.trained.record.reference)
        files = sorted(path.name for path in folder.iterdir())
        assert {Path(name).suffix for name in files} == {".json", ".safetensors"}, f"the adapter's files are {files}"
        ids = torch.arange(20, 40)[None]
        with torch.inference_mode():
            base = AutoModelForCausalLM.from_pretrained(kept.plan.model.folder, dtype=torch.float32).eval()
            untuned = base(input_ids=ids).logits
            tuned = PeftModel.from_pretrained(base, folder).eval()(input_ids=ids).logits
        apart = float((tuned - untuned).abs().max())
        assert apart > 0.01, f"read back by PEFT, the adapter changes logits by {apart:.2g} at most"

    def test_what_ran_is_on_record(self) -> None:
        effective = self.train(self.models[0]).trained.outcome.effective
        name = registry().find("backend", self.backend)[1].name
        assert effective.backend == name, f"on record is the backend {effective.backend!r}, not {name!r}"
        counted = sum(effective.adapted_modules.values())
        assert effective.adapted_layers == counted > 0, (
            f"{effective.adapted_layers} layers were adapted, it says, and by name {counted}"
        )
        assert effective.loss, "what computed the loss is not on record"

    def test_a_stopped_run_goes_on_to_the_same_adapter(self) -> None:
        """A stop is kept to before the next step; nothing is published; and going on gives what was to come, from its
        last step where the backend says that it resumes, and from the beginning where it does not.
        """
        spec = registry().get(Backend, self.backend)
        skip_unless(spec.environment is None, "it runs in an environment of its own, where nothing can be watched")
        asked = {"checkpoint_every": 2} if spec.resumes else {}
        never = self.train(self.models[0], **asked).trained.outcome
        run = prepare(self.plan(self.models[0], **asked), registry())
        with stopping_after(3) as seen:
            try:
                supervise(run, registry(), lambda event: None, start=start_in_process)
            except Interrupted:
                pass
        assert seen.asked, "it never asks whether to stop (context.stepped or context.checkpoint)"
        assert seen.told[-1] <= 4, f"it was told to stop after step 3, and went on to step {seen.told[-1]}"
        assert run.outcome() is None, "it was stopped, and published something"
        with stopping_after(99) as seen:
            found = supervise(run, registry(), lambda event: None, start=start_in_process).outcome
        began = 4 if spec.resumes else 1
        assert seen.told[:1] == [began], f"stopped after step 3, it went on with step {seen.told[:1]}, not {began}"
        apart = furthest(found.losses, never.losses)
        assert found.losses == never.losses, f"gone on with, its losses leave those of the run never stopped by {apart}"
        assert found.digest == never.digest, "gone on with, it comes to another adapter than the run never stopped"

    def test_a_loss_that_is_no_number_stops_it_with_a_sentence(self) -> None:
        """Nothing is published, and the sentence says at which step it was."""
        plan = self.plan(self.models[0], learning_rate=1.0, alpha=1e30, warmup=0.0, schedule="constant")
        run = prepare(plan, registry())
        said = ""
        try:
            supervise(run, registry(), lambda event: None, start=start_in_process)
        except GraftlmError as error:
            said = str(error)
        assert said, "its loss is no number, and it went on to its end"
        assert "step" in said, f"its loss is no number, and it ends with {said!r}"
        assert run.outcome() is None, "its loss is no number, and it published something"

    def agrees(self, kept: Kept, about: str) -> None:
        """With the reference, step for step."""
        wanted = reference_losses(kept)
        assert near(kept.losses, wanted, abs=self.tolerance), (
            f"its losses {about} are not those of transformers and PEFT alone: {furthest(kept.losses, wanted)}"
        )


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
