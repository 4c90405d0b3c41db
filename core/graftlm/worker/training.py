"""The job ``train``: load, train, stage the adapter; then, in the base environment, prove and score it."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import ExitStack, nullcontext, suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from graftlm.contracts.errors import Interrupted, RunError
from graftlm.contracts.job import TrainJob
from graftlm.contracts.outcome import Effective, EncodingCounts, Machine, Training
from graftlm.contracts.plan import Plan
from graftlm.contracts.serial import to_builtins, to_json
from graftlm.contracts.services import LossFunction, Trainer, Tuner
from graftlm.contracts.specs import Backend
from graftlm.encoding.kept import read_counts
from graftlm.encoding.rows import EncodedRows, load_rows
from graftlm_registry.adapters.content import content_digest
from graftlm_registry.home import replaced
from graftlm_registry.plugins import registry

from .deterministic import set_deterministic
from .events import Events
from .initial_weights import draw_weights, place_initial
from .patches import Patches
from .process_check import check_process
from .run_files import RunFiles
from .targets import resolve_target

if TYPE_CHECKING:
    import torch

    from .checkpointing import Checkpointing
    from .context import RunContext
    from .effective import Loaded
    from .memory import MemoryMeter


def train_job(run: Path, events: Events) -> None:
    """Carry out ``RUN/plan.json``. The last event is the proof's where this worker proves too."""
    started = time.perf_counter()
    files = RunFiles(run)
    plan, job = files.plan(), files.job()
    check_process(plan, job, events)
    trainer: Trainer = resolve_target(plan.part("backend").target)()
    files.empty_scratch()
    trainer.prepare(plan, files.scratch)  # before torch: Unsloth must be imported first
    with ExitStack() as stack:
        logits = _Training(plan, job, files, events, stack).carry_out(trainer, started)
    if not job.proves:
        files.keep_trained(logits)
        events.send("done")
        return
    if not job.resumes:
        files.keep_trained(logits)  # no checkpoint has what was trained
    from .proving import prove_job

    try:
        prove_job(run, events, logits)
    except Interrupted:
        files.keep_trained(logits)  # whoever goes on need not train again
        raise


class _Training:
    def __init__(self, plan: Plan, job: TrainJob, files: RunFiles, events: Events, stack: ExitStack) -> None:
        self.plan, self.job, self.files, self.events = plan, job, files, events
        self.stack = stack
        self.patches = Patches(plan, plan.device, stack)
        self.patches.enter("import")
        self.tuner: Tuner = resolve_target(plan.part("method").target)()
        self.loaded: Loaded
        self.effective: Effective

    def carry_out(self, trainer: Trainer, started: float) -> torch.Tensor:
        """Train and stage; the logits of what was trained, for the proof."""
        from .checkpointing import Checkpointing
        from .memory import MemoryMeter
        from .proof import proof_logits

        if self.plan.training.deterministic:
            self.stack.callback(set_deterministic())
        parts = (self.plan.part(kind) for kind in ("backend", "method", "quantization", "optimizer"))
        meter = MemoryMeter(self.plan.device, [registry().find(part.kind, part.name)[1] for part in parts])
        checkpointing = Checkpointing(self.files.run, self.plan.hash, self.job, self.events)
        counts, context = self._prepare(trainer, checkpointing, meter, started)
        self.events.progress("load", 0, 1)
        try:
            trainer.train(context)
        except Interrupted:
            context.save()
            raise
        if context.model is None:
            raise RunError("the backend trained a model that it did not report: it must call 'loaded'")
        if not context.finished:
            raise RunError(f"{context.course.step} of {self.plan.training.steps} planned steps were trained")
        effective = self._at_the_end(context)
        kept_step = context.best.put_back(context.model, context.course.step)
        self.stack.close()  # what is kept is used without accelerators, and is proved so
        self.events.progress("prove", 0, 1)
        staged = self.files.fresh_stage(Path(self.job.staged))
        self.tuner.save(context.model, staged)
        logits = proof_logits(context.model, context.rows, self.plan.device)
        training = self._training(counts, context, effective, kept_step)
        with replaced(self.files.training) as fresh:
            fresh.write_bytes(to_json(replace(training, digest=content_digest(staged))))
        context.model = None  # the base is loaded once more: there must be room
        return logits

    def _at_the_end(self, context: RunContext) -> Effective:
        """What happened in the last step too; where every step was another process's, as that one measured it."""
        before = context.course.effective
        if context.course.step > context.started_at or before is None:
            return context.stepping.measured(replace(self.effective, accelerated=self.patches.happened()))
        names = ("machine", "patched", "given", "accelerated", "loss", "optimizer", "optimizer_bytes")
        return replace(self.effective, **{name: getattr(before, name) for name in names})

    def _training(self, counts: EncodingCounts, context: RunContext, effective: Effective, kept_step: int) -> Training:
        course = context.course
        assert course.memory is not None
        return Training(
            losses=tuple(course.losses),
            validation=tuple(course.validation),
            tokens=course.tokens,
            seconds=course.seconds,
            total_seconds=context.elapsed,
            encoding=counts,
            effective=effective,
            memory=course.memory,
            base_digest=self.loaded.digest,
            energy=course.energy,
            kept_step=kept_step,
            stopped_early=course.step < self.plan.training.steps,
            spikes=tuple(course.spikes),
            resumed=tuple(course.resumed),
            too_large=self.job.too_large,
        )

    def _machine(self, rows: EncodedRows, order: list[list[int]]) -> Machine | None:
        """Measured and settled, for this worker and those that go on after it; a baseline is left as its users have it,
        and where the same bits are asked for nothing is measured.
        """
        from .machine import Way, settle_machine
        from .run_files import Settled
        from .work import step_flops

        self.stack.callback(Way.now().set)
        if (settled := self.files.settled()) is not None:
            Way(settled.threads, settled.matmul).set()
            return settled.machine
        shape, found = self.plan.model.facts.shape, None
        plain = registry().get(Backend, self.plan.part("backend").name).plain
        if shape is not None and not plain and not self.plan.training.deterministic:
            some, keeps = order[:20], self.plan.method.keeps
            work = [step_flops(shape, 0, keeps, [rows.length(i) for i in samples]) for samples in some]
            found, _ = settle_machine(shape, self.plan, sum(work) / len(some) * len(order))
        way = Way.now()
        self.files.settle(Settled(threads=way.threads, matmul=way.matmul, machine=found))
        return found

    def _prepare(
        self, trainer: Trainer, checkpointing: Checkpointing, meter: MemoryMeter, started: float
    ) -> tuple[EncodingCounts, RunContext]:
        from .batches import known_order
        from .context import RunContext
        from .draws import Draws
        from .given import GivenIds
        from .neftune import noisy_embeddings
        from .work import step_flops

        encoded = self.files.encoded
        counts = {
            split.name: read_counts(encoded / f"{split.name}.json")
            for split in self.plan.data.splits
            if split.name != "test"  # test rows are read when the run is scored, not before
        }
        found = checkpointing.newest()
        if found is None:
            for name, count in counts.items():
                for warning in _left_out(name, count):
                    self.events.warning(warning)
        rows = load_rows(encoded / "train.safetensors")
        order = known_order(self.plan, encoded)
        first = min(found.course.step if found else 0, len(order) - 1)
        given = GivenIds([rows.row(i)[0].tolist() for i in order[first]])
        machine = self._machine(rows, order)
        draws = Draws(self.plan.device, self.plan.training.seed)
        parent = Path(self.job.parent) if self.job.parent else None
        base = Path(self.job.model)

        def load() -> Any:
            from .adapt import Files, load_adapted

            draw_weights(self.plan, base, self.events)
            files = Files(base, parent, self.files.initial, self.files.known_digest())
            model, self.loaded = load_adapted(self.plan, files, self.patches, self.tuner)
            if found is not None and self.loaded.digest != found.states["base"]:
                raise RunError("the base's weights are others than when training began")
            return model

        as_is = registry().get(Backend, self.plan.part("backend").name).as_is

        def place(model: Any) -> None:
            from .effective import loaded_by_a_backend

            with suppress(RunError) if as_is else nullcontext():  # a script may have made another adapter
                place_initial(model, self.files.initial, self.plan)
            self.loaded = loaded_by_a_backend(model, self.plan, as_is=as_is)
            self.patches.enter("model", model)
            self.patches.enter("adapter", model)

        def measure(model: Any, packing: bool) -> None:
            from .effective import effective

            loss = trainer.loss or context.loss_function.name
            self.effective = effective(model, self.loaded, self.plan, self.tuner, loss, packing, as_is=as_is)
            self.effective = replace(self.effective, machine=machine)
            self.events.send("effective", **to_builtins(self.effective))
            given.watch(model)

        def stepped(model: Any) -> Effective:
            from .effective import still
            from .patched import patched

            if not as_is:
                still(model, self.plan)
            modules = {**self.effective.patched, **patched(model)}  # libraries patch when they begin to train, too
            self.effective = replace(
                self.effective,
                patched=dict(sorted(modules.items())),
                given=given.found(),
                accelerated=self.patches.happened(),
            )
            return context.stepping.seen(self.effective)

        def flops(lengths: Sequence[int]) -> float:
            shape, method = self.plan.model.facts.shape, self.plan.method
            return step_flops(shape, self.effective.trainable_parameters, method.keeps, lengths) if shape else 0.0

        def loss(model: Any) -> LossFunction | None:
            self.patches.enter("step", model)
            alpha = self.plan.training.neftune_alpha
            if alpha and not context.finished:
                self.stack.enter_context(noisy_embeddings(model, alpha, context.generator()))
            return self.patches.loss(model)

        context = RunContext(
            plan=self.plan,
            events=self.events,
            folder=base,
            encoded=encoded,
            scratch=self.files.scratch,
            rows=rows,
            validation=load_rows(encoded / "validation.safetensors") if "validation" in counts else None,
            order=order,
            parent=parent,
            checkpointing=checkpointing,
            found=found,
            draws=draws,
            loss=loss,
            load=load,
            place=place,
            measure=measure,
            first_step=stepped,
            base=lambda: self.loaded.digest,
            flops=flops,
            memory=meter,
            began=started,
        )
        return counts["train"], context


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
