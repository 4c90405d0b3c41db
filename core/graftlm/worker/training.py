"""The job ``train``: encode, load, train, prove, score."""

from __future__ import annotations

import time
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from graftlm.chat_templates.binding import bound, own_template
from graftlm.contracts.errors import RunError
from graftlm.contracts.job import TrainJob
from graftlm.contracts.outcome import Effective, EncodingCounts, Outcome, Proof, Score
from graftlm.contracts.plan import Plan
from graftlm.contracts.serial import from_json, to_builtins
from graftlm.contracts.services import LoadedModel, Trainer, Tuner
from graftlm.contracts.specs import PromptTemplate
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
        from .memory import MemoryMeter
        from .proof import proof_logits

        parts = (self.plan.part(kind) for kind in ("backend", "method", "quantization"))
        meter = MemoryMeter(self.plan.device, [registry().find(part.kind, part.name)[1] for part in parts])
        self.events.progress("load", 0, 1)
        loaded = trainer.load(context)
        self.events.checkpoint()
        effective = self._effective(loaded, trainer)
        self.events.send("effective", **to_builtins(effective))
        self.patches.enter("step", loaded.model)
        context.start()
        trainer.train(context, loaded)
        if len(context.losses) != self.plan.training.steps:
            raise RunError(f"{len(context.losses)} of {self.plan.training.steps} planned steps were trained")
        memory = meter.read()
        self.events.progress("prove", 0, 1)
        staged = Path(self.job.staged)
        self.tuner.save(loaded.model, staged)
        trained = proof_logits(loaded.model, context.rows, self.plan.device)
        before = loaded.base_digest
        loaded.model = None  # the base is loaded once more: there must be room
        proof, scores = self._proved_and_scored(trained, before, staged, context)
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
            memory=memory,
        )

    def _proved_and_scored(
        self, trained: Any, base_digest: str, staged: Path, context: RunContext
    ) -> tuple[Proof, tuple[Score, ...]]:
        """What is scored is what is kept: before is the bare base, after the base with the staged files."""
        import gc

        from .load import load_base
        from .proof import prove

        gc.collect()
        base = load_base(self.plan.load, self.folder, self.plan.device).model
        scores: list[Score] = []

        def score_base(model: Any) -> None:
            scores.extend(self._scores(model, "before"))

        tuned, proof = prove(trained, base, base_digest, self.tuner, staged, context.rows, self.plan.device, score_base)
        return proof, (*scores, *self._scores(tuned, "after"))

    def _prepare(self) -> tuple[EncodingCounts, RunContext]:
        from .adapt import load_adapted
        from .batches import draw_order, write_order
        from .context import RunContext

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
            from .random_weights import random_weights

            self.events.progress("draw random weights", 0, 1)
            random_weights(self.folder)
        initial = self.run / "initial" / "adapter.safetensors"

        parent = Path(self.job.parent) if self.job.parent else None

        def load() -> LoadedModel:
            return load_adapted(self.plan, self.folder, initial, parent, self.patches, self.tuner)

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
        effective = Effective(
            device=next(model.parameters()).device.type,
            dtype=loaded.dtype or _computed_in(model, self.plan),
            attention=loaded.attention,
            backend=self.plan.part("backend").name,
            linear_layers=loaded.linear_layers,
            quantized_layers=loaded.quantized_layers,
            adapted_layers=sum(loaded.adapted.values()),
            adapted_modules=dict(sorted(loaded.adapted.items())),
            trainable_parameters=trainable,
            total_parameters=_total(loaded, trainable, self.plan),
            packing=False,
            loss=trainer.loss,
            batch_size=self.plan.training.batch_size,
            micro_batch=self.plan.training.micro_batch,
            versions=versions(),
            quantized_share=loaded.quantized_share,
            rope=loaded.rope,
            gradient_checkpointing=bool(getattr(model, "is_gradient_checkpointing", False)),
        )
        wanted = {
            "device": self.plan.device,
            "attention": self.plan.attention,
            "dtype": self.plan.dtype,
            "gradient_checkpointing": self.plan.training.gradient_checkpointing,
        }
        for name, value in wanted.items():
            if getattr(effective, name) != value:
                raise RunError(
                    f"the plan says {name.replace('_', ' ')} {value}, and {getattr(effective, name)} was loaded"
                )
        return effective

    def _scores(self, model: Any, moment: Literal["before", "after"]) -> list[Score]:
        from .evaluation import evaluate

        count = len(self.plan.evaluations) * len(self.plan.all_parts("evaluator"))
        done = count * (moment == "after")

        def progress(what: str) -> None:
            nonlocal done
            self.events.progress(f"score {what}", done, 2 * count)
            done += 1

        return evaluate(
            self.plan, self.run, model, self.plan.device, self.template, self.tokenizer, moment, self.events.checkpoint,
            progress,
        )  # fmt: skip


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


def _total(loaded: LoadedModel, trainable: int, plan: Plan) -> int:
    """Of base and adapter; quantized weights count as what they stand for."""
    if not loaded.base_parameters:
        return sum(p.numel() for p in loaded.model.parameters())
    return loaded.base_parameters + (trainable if plan.method.keeps == "adapter" else 0)


def _computed_in(model: Any, plan: Plan) -> str:
    """The precision of the weights that are neither trained (those are fp32) nor quantized; the plan's, where there
    are none.
    """
    frozen = (p.dtype for p in model.parameters() if not p.requires_grad and p.is_floating_point() and p.dim() > 1)
    short = {"torch.float32": "fp32", "torch.bfloat16": "bf16", "torch.float16": "fp16"}
    return next((short.get(str(dtype), str(dtype)) for dtype in frozen), plan.dtype)
