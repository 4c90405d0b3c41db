"""The job ``train``: load, train, stage the adapter; then, in the base environment, prove and score it."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import ExitStack, nullcontext, suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from graftlm.contracts.errors import RunError
from graftlm.contracts.job import TrainJob
from graftlm.contracts.outcome import Effective, EncodingCounts, Machine, MemoryUse, Training
from graftlm.contracts.plan import Plan
from graftlm.contracts.serial import to_builtins, to_json
from graftlm.contracts.services import LossFunction, Trainer, Tuner
from graftlm.contracts.specs import Backend
from graftlm.contracts.versions import versions
from graftlm.encoding.kept import read_counts
from graftlm.encoding.rows import EncodedRows, load_rows
from graftlm.source import code_digest
from graftlm_registry.plugins import registry

from .events import Events
from .patches import Patches
from .run_files import RunFiles
from .targets import resolve_target

if TYPE_CHECKING:
    import torch

    from .context import RunContext
    from .effective import Loaded
    from .memory import MemoryMeter


def train_job(run: Path, events: Events) -> None:
    """Carry out ``RUN/plan.json``. The last event is the proof's where this worker proves too."""
    started = time.perf_counter()
    files = RunFiles(run)
    plan, job = files.plan(), files.job()
    check_process(plan, job)
    trainer: Trainer = resolve_target(plan.part("backend").target)()
    trainer.prepare(plan, run / "scratch")  # before torch: Unsloth must be imported first
    with ExitStack() as stack:
        logits = _Training(plan, job, files, events, stack).carry_out(trainer, started)
    if job.proves:
        from .proving import prove_job

        prove_job(run, events, logits)
    else:
        files.keep_trained(logits)
        events.send("done")


class _Training:
    def __init__(self, plan: Plan, job: TrainJob, files: RunFiles, events: Events, stack: ExitStack) -> None:
        self.plan, self.job, self.files, self.events = plan, job, files, events
        self.stack = stack
        self.patches = Patches(plan, plan.device, stack)
        self.patches.enter("import")
        self.tuner: Tuner = resolve_target(plan.part("method").target)()
        self.loaded: Loaded
        self.effective: Effective
        self.meter: MemoryMeter
        self.memory: MemoryUse

    def carry_out(self, trainer: Trainer, started: float) -> torch.Tensor:
        """Train and stage; the logits of what was trained, for the proof."""
        from .memory import MemoryMeter
        from .proof import proof_logits

        counts, context = self._prepare(trainer)
        parts = (self.plan.part(kind) for kind in ("backend", "method", "quantization", "optimizer"))
        self.meter = MemoryMeter(self.plan.device, [registry().find(part.kind, part.name)[1] for part in parts])
        self.events.progress("load", 0, 1)
        trainer.train(context)
        if context.model is None:
            raise RunError("the backend trained a model that it did not report: it must call 'loaded'")
        if len(context.losses) != self.plan.training.steps and not context.stopped:
            raise RunError(f"{len(context.losses)} of {self.plan.training.steps} planned steps were trained")
        self.effective = replace(self.effective, accelerated=self.patches.happened())
        self.kept_step = context.best.put_back(context.model, len(context.losses))
        self.stack.close()  # what is kept is used without accelerators, and is proved so
        self.events.progress("prove", 0, 1)
        self.tuner.save(context.model, Path(self.job.staged))
        logits = proof_logits(context.model, context.rows, self.plan.device)
        total = time.perf_counter() - started
        self.files.training.write_bytes(to_json(self._training(counts, context, total)))
        context.model = None  # the base is loaded once more: there must be room
        return logits

    def _training(self, counts: EncodingCounts, context: RunContext, total: float) -> Training:
        return Training(
            losses=tuple(context.losses),
            validation=tuple(context.validation_losses),
            tokens=context.tokens,
            seconds=context.seconds,
            total_seconds=total,
            encoding=counts,
            effective=context.stepping.measured(self.effective),
            memory=self.memory,
            base_digest=self.loaded.digest,
            energy=context.energy,
            kept_step=self.kept_step,
            stopped_early=len(context.losses) < self.plan.training.steps,
        )

    def _machine(self, rows: EncodedRows, order: list[list[int]]) -> Machine | None:
        """Measured and settled; a baseline is left as its users have it."""
        from .machine import settle_machine
        from .work import step_flops

        shape = self.plan.model.facts.shape
        if shape is None or registry().get(Backend, self.plan.part("backend").name).plain:
            return None
        some = order[:20]
        work = [step_flops(shape, 0, self.plan.method.keeps, [rows.length(i) for i in samples]) for samples in some]
        operations = sum(work) / len(some) * len(order)
        found, restore = settle_machine(shape, self.plan, operations)
        self.stack.callback(restore)
        return found

    def _prepare(self, trainer: Trainer) -> tuple[EncodingCounts, RunContext]:
        from .batches import known_order
        from .context import RunContext
        from .given import GivenIds
        from .neftune import noisy_embeddings
        from .work import step_flops

        encoded = self.files.encoded
        counts = {
            split.name: read_counts(encoded / f"{split.name}.json")
            for split in self.plan.data.splits
            if split.name != "test"  # test rows are read when the run is scored, not before
        }
        for name, count in counts.items():
            for warning in _left_out(name, count):
                self.events.warning(warning)
        rows = load_rows(encoded / "train.safetensors")
        order = known_order(self.plan, encoded)
        given = GivenIds([rows.row(i)[0].tolist() for i in order[0]])
        machine = self._machine(rows, order)
        parent = Path(self.job.parent) if self.job.parent else None
        base = Path(self.job.model)

        def load() -> Any:
            from .adapt import Files, load_adapted

            draw_weights(self.plan, base, self.events)
            files = Files(base, parent, self.files.initial, self.files.known_digest())
            model, self.loaded = load_adapted(self.plan, files, self.patches, self.tuner)
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
            context.start()

        def stepped(model: Any) -> None:
            from .effective import still
            from .patched import patched

            if not as_is:
                still(model, self.plan)
            found = {**self.effective.patched, **patched(model)}  # libraries patch when they begin to train, too
            self.effective = replace(
                self.effective,
                patched=dict(sorted(found.items())),
                given=given.found(),
                accelerated=self.patches.happened(),
            )

        def last_step() -> None:
            self.memory = self.meter.read()

        def flops(lengths: Sequence[int]) -> float:
            shape, method = self.plan.model.facts.shape, self.plan.method
            return step_flops(shape, self.effective.trainable_parameters, method.keeps, lengths) if shape else 0.0

        def loss(model: Any) -> LossFunction | None:
            self.patches.enter("step", model)
            training = self.plan.training
            if training.neftune_alpha:
                noise = noisy_embeddings(model, training.neftune_alpha, training.seed, self.plan.device)
                self.stack.enter_context(noise)
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
            loss=loss,
            load=load,
            place=place,
            measure=measure,
            first_step=stepped,
            flops=flops,
            last_step=last_step,
        )
        return counts["train"], context


def check_process(plan: Plan, job: TrainJob) -> None:
    """``RunError`` where this process has other packages, or another graftlm, than the plan was made with."""
    where = f"environment '{plan.environment}'" if plan.environment else "this environment"
    mend = f"graftlm envs create {plan.environment} --again" if plan.environment else "plan again"
    found = versions()
    other = [f"{n} {found.get(n, 'missing')}" for n, v in plan.probe.versions.items() if found.get(n) != v]
    if other:
        raise RunError(f"{where} has changed since the plan was made: {', '.join(other)} (run: {mend})")
    if job.code and job.code != code_digest():
        raise RunError(f"{where} has another graftlm than the plan was made with (run: {mend})")


def place_initial(model: Any, initial: Path, plan: Plan) -> None:
    """The run's initial weights into a model that a backend loaded."""
    from safetensors.torch import load_file

    from .effective import place

    if initial.is_file():
        place(model, load_file(initial))
    elif plan.method.keeps == "adapter":
        raise RunError(
            f"backend {plan.part('backend').name} loads its model itself, and this run has no initial weights for it: "
            "only a backend with an environment of its own gets them; the others call 'context.load'"
        )


def draw_weights(plan: Plan, folder: Path, events: Events) -> None:
    """The weights of a ``shape:`` model, where they are not drawn yet."""
    if plan.model.weights == "random":
        from .random_weights import random_weights

        events.progress("draw random weights", 0, 1)
        random_weights(folder)


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
