"""The job ``train``: encode, load, train, prove, score."""

from __future__ import annotations

import time
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

from graftlm.chat_templates.binding import bound, own_template
from graftlm.contracts.errors import RunError
from graftlm.contracts.job import TrainJob
from graftlm.contracts.outcome import Effective, EncodingCounts, Outcome
from graftlm.contracts.plan import Plan
from graftlm.contracts.serial import from_json, to_builtins
from graftlm.contracts.services import LoadedModel, Trainer, Tuner
from graftlm.contracts.specs import PromptTemplate, Quantization
from graftlm.contracts.versions import versions
from graftlm.encoding.kept import read_counts
from graftlm.encoding.rows import load_rows
from graftlm.encoding.tokenizing import SpanTokenizer
from graftlm_registry.adapters.content import content_digest
from graftlm_registry.plugins import registry

from .events import Events
from .patches import Patches
from .targets import resolve_target

if TYPE_CHECKING:
    from .context import RunContext


def train_job(run: Path, events: Events) -> None:
    """Carry out ``RUN/plan.json``; the last event holds the Outcome."""
    started = time.perf_counter()
    plan = from_json((run / "plan.json").read_bytes(), Plan, "the plan")
    job = from_json((run / "job.json").read_bytes(), TrainJob, "the job")
    trainer: Trainer = resolve_target(plan.part("backend").target)()  # before torch: Unsloth must be imported first
    with ExitStack() as stack:
        outcome = _Run(plan, job, run, events, stack).carry_out(trainer, started)
    events.send("done", outcome=to_builtins(outcome))


class _Run:
    def __init__(self, plan: Plan, job: TrainJob, run: Path, events: Events, stack: ExitStack) -> None:
        self.plan, self.job, self.run, self.events = plan, job, run, events
        self.patches = Patches(plan, plan.device, stack)
        self.patches.enter("import")
        self.tuner: Tuner = resolve_target(plan.part("method").target)()
        self.folder = Path(job.model)
        self.tokenizer = SpanTokenizer.from_folder(self.folder)
        own = stack.enter_context(own_template(self.folder, plan.template.today))
        self.template = bound(registry().get(PromptTemplate, plan.template.name), own)

    def carry_out(self, trainer: Trainer, started: float) -> Outcome:
        counts, context = self._prepare()
        self.events.progress("load", 0, 1)
        loaded = trainer.load(context)
        self.events.checkpoint()
        model = loaded.model
        effective = self._effective(loaded, trainer)
        self.events.send("effective", **to_builtins(effective))
        from .proof import base_digest, prove

        before = base_digest(model)
        self.patches.enter("step", model)
        context.start()
        trainer.train(context, loaded)
        if len(context.losses) != self.plan.training.steps:
            raise RunError(f"{len(context.losses)} of {self.plan.training.steps} planned steps were trained")
        self.events.progress("prove", 0, 1)
        staged = Path(self.job.staged)
        self.tuner.save(model, staged)
        proof = prove(model, self.tuner, staged, context.rows, self.plan.device, before)
        scores = self._scores(model)
        return Outcome(
            run=self.job.run,
            plan_hash=self.plan.hash,
            first_loss=context.losses[0],
            losses=tuple(context.losses),
            validation=tuple(context.validation_losses),
            tokens=context.tokens,
            seconds=context.seconds,
            tokens_per_second=context.tokens / context.seconds,
            total_seconds=time.perf_counter() - started,
            encoding=counts,
            effective=effective,
            proof=proof,
            scores=scores,
            staged=str(staged),
            digest=content_digest(staged),
        )

    def _prepare(self) -> tuple[EncodingCounts, RunContext]:
        from .batches import draw_order, write_order
        from .context import RunContext
        from .load import load_adapted, random_weights

        encoded = self.run / "encoded"
        counts = {
            split.name: read_counts(encoded / f"{split.name}.json")
            for split in self.plan.data.splits
            if split.name != "test"  # test rows are read when the run is scored, not before
        }
        for name, count in counts.items():
            for warning in _left_out(name, count):
                self.events.warning(warning)
        rows = load_rows(encoded / "train.safetensors")
        order = draw_order(len(rows), self.plan.training)
        write_order(order, encoded / "order.json")
        if self.plan.model.weights == "random":
            self.events.progress("draw random weights", 0, 1)
            random_weights(self.folder)
        initial = self.run / "initial" / "adapter.safetensors"

        def load() -> LoadedModel:
            return load_adapted(self.plan, self.folder, self.plan.device, initial, self.patches, self.tuner)

        context = RunContext(
            plan=self.plan,
            events=self.events,
            folder=self.folder,
            encoded=encoded,
            scratch=self.run / "scratch",
            rows=rows,
            validation=load_rows(encoded / "validation.safetensors") if "validation" in counts else None,
            order=order,
            load=load,
        )
        return counts["train"], context

    def _effective(self, loaded: LoadedModel, trainer: Trainer) -> Effective:
        """What was loaded, counted; ``RunError`` where it is not the plan's."""
        model = loaded.model
        trainable = sum(p.numel() for p in model.parameters() if p.requires_grad)
        frozen = next((p for p in model.parameters() if not p.requires_grad), None)
        effective = Effective(
            device=next(model.parameters()).device.type,
            dtype=_short(frozen.dtype) if frozen is not None else self.plan.dtype,
            attention=loaded.attention,
            backend=self.plan.part("backend").name,
            linear_layers=loaded.linear_layers,
            quantized_layers=loaded.quantized_layers,
            adapted_layers=sum(loaded.adapted.values()),
            adapted_modules=dict(sorted(loaded.adapted.items())),
            trainable_parameters=trainable,
            total_parameters=sum(p.numel() for p in model.parameters()),
            packing=False,
            loss=trainer.loss,
            batch_size=self.plan.training.batch_size,
            micro_batch=self.plan.training.micro_batch,
            versions=versions(),
        )
        bits = registry().get(Quantization, self.plan.part("quantization").name).bits
        if bool(bits) != bool(loaded.quantized_layers):
            raise RunError(
                f"the plan says quantization {self.plan.part('quantization').name}, and {loaded.quantized_layers} of "
                f"{loaded.linear_layers} linear layers are quantized"
            )
        wanted = {"device": self.plan.device, "attention": self.plan.attention, "dtype": self.plan.dtype}
        for name, value in wanted.items():
            if getattr(effective, name) != value:
                raise RunError(f"the plan says {name} {value}, and {getattr(effective, name)} was loaded")
        return effective

    def _scores(self, model: Any) -> Any:
        """After, and before (the untouched base: the adapter off), when nothing waits for it any more."""
        from .evaluation import evaluate

        total = 2 * len(self.plan.evaluations) * len(self.plan.all_parts("evaluator"))
        done = 0

        def progress(what: str) -> None:
            nonlocal done
            self.events.progress(f"score {what}", done, total)
            done += 1

        shared = (self.plan.device, self.template, self.tokenizer)
        after = evaluate(self.plan, self.run, model, *shared, "after", self.events.checkpoint, progress)
        with self.tuner.untuned(model):
            before = evaluate(self.plan, self.run, model, *shared, "before", self.events.checkpoint, progress)
        return (*before, *after)


def _left_out(name: str, counts: EncodingCounts) -> list[str]:
    found = []
    if counts.used < counts.rows:
        found.append(
            f"{counts.rows - counts.used} of {counts.rows} {name} rows were left out: {counts.too_long} too long, "
            f"{counts.nothing_trained} with nothing to train on"
        )
    if counts.truncated:
        found.append(f"{counts.truncated} of {counts.rows} {name} rows were cut at the longest length")
    return found


def _short(dtype: Any) -> str:
    return {"torch.float32": "fp32", "torch.bfloat16": "bf16", "torch.float16": "fp16"}.get(str(dtype), str(dtype))
