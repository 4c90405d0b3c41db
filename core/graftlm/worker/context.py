"""The ``TrainingContext``: what a backend is handed."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file

from graftlm.contracts.errors import Diverged, RunError
from graftlm.contracts.outcome import Effective
from graftlm.contracts.plan import Plan
from graftlm.contracts.services import Batch, LossFunction, Stateful
from graftlm.encoding.rows import EncodedRows

from .batches import MicroBatches, Steps, chunks, collate, collate_packed
from .best import Best
from .checkpointing import Checkpointing, Found
from .course import Course
from .draws import Draws
from .effective import place
from .energy import EnergyMeter
from .events import Events
from .generation import inference
from .memory import MemoryMeter, largest
from .optimizing import Stepping
from .plain_loss import PlainLoss
from .schedule import learning_rate
from .spikes import spike
from .unsound import unsound

MOST_OVERFLOWS = 20
"""Steps in a row whose gradient may overflow in fp16."""


class RunContext:
    """Hands out batches, takes in losses, validates when it is due, and keeps checkpoints. What the run has done is in
    ``course``, which goes on where a checkpoint was ``found``.
    """

    def __init__(
        self,
        *,
        plan: Plan,
        events: Events,
        folder: Path,
        encoded: Path,
        scratch: Path,
        rows: EncodedRows,
        validation: EncodedRows | None,
        order: list[list[int]],
        parent: Path | None,
        checkpointing: Checkpointing,
        found: Found | None,
        draws: Draws,
        loss: Callable[[Any], LossFunction | None],
        load: Callable[[], Any],
        place: Callable[[Any], None],
        measure: Callable[[Any, bool], None],
        first_step: Callable[[Any], Effective],
        base: Callable[[], str],
        flops: Callable[[Sequence[int]], float],
        memory: MemoryMeter | None,
        began: float,
    ) -> None:
        self.plan, self.device, self.folder, self.encoded, self.scratch = plan, plan.device, folder, encoded, scratch
        self.parent = parent
        self.model: Any = None
        self.course = found.course if found else Course()
        if found:
            self.course.resumed.append(self.course.step)
        self.started_at = self.course.step
        self.loss_function: LossFunction = PlainLoss(plan.device, plan.training.label_smoothing)
        self.stepping = Stepping(plan)
        self.best = Best(plan.training, scratch / "best.safetensors", self.course)
        self._checkpointing, self._found, self._draws = checkpointing, found, draws
        self._drawn: dict[str, Any] = {}
        self._things: dict[str, Stateful] = {}
        self._accelerated = loss
        self._load, self._place, self._measure = load, place, measure
        self._first_step, self._base, self._flops, self._memory = first_step, base, flops, memory
        self._began = began - self.course.total_seconds
        self._collate = collate_packed if plan.training.packing else collate
        self._energy_before = self.course.energy
        self._meter: EnergyMeter | None = None
        self._events, self.rows, self._validation, self._order = events, rows, validation, order
        self._clock = 0.0

    # What a backend is handed

    def load(self, *, packing: bool = False) -> Any:
        with self._events.at_once():
            model = self._load()
        self._take(model, packing)
        return model

    def loaded(self, model: Any, *, packing: bool = False) -> None:
        self._place(model)
        self._take(model, packing)

    def start(self) -> None:
        """Start the training clock; where the run goes on, the generators are as they were."""
        if self._found is not None and not self.finished:
            self._draws.put_back(self._found.states["draws"])
        self._drawn = self._draws.state()
        if self.course.due:
            self._finish(self.model)
        self._meter = EnergyMeter(self.device)
        self._clock = time.perf_counter()

    def steps(self) -> Steps:
        micro = self.plan.training.micro_batch
        return Steps(self.rows, self._order, micro, self._collate, lambda: self.stopped, self.course.step)

    def micro_batches(self) -> MicroBatches:
        return MicroBatches(self.rows, self._order, self.plan.training.micro_batch, self._collate)

    def loss(self, model: Any, batch: Batch) -> torch.Tensor:
        return self.loss_function(model, batch)

    def learning_rate(self, step: int) -> float:
        return learning_rate(step, self.plan.training)

    def optimizer(self, model: Any) -> torch.optim.Optimizer:
        optimizer = self.stepping.optimizer(model)
        self.resumable("optimizer", optimizer)
        return optimizer

    def set_learning_rate(self, optimizer: torch.optim.Optimizer, step: int) -> None:
        for group in optimizer.param_groups:
            group["lr"] = self.learning_rate(step) * group.get("scale", 1.0)

    def resumable(self, name: str, thing: Stateful) -> None:
        if name in self._things:
            raise RunError(f"the backend told twice of its '{name}'")
        self._things[name] = thing
        if self._found is not None and not self.finished:
            try:
                thing.load_state_dict(self._found.states[f"of {name}"])
            except (KeyError, ValueError, RuntimeError) as error:
                raise RunError(
                    f"the checkpoint of step {self.started_at} has no state that fits this {name}: {error}"
                ) from error

    def generator(self) -> torch.Generator:
        return self._draws.own()

    @property
    def stopped(self) -> bool:
        return self.course.stopped

    def checkpoint(self) -> None:
        self._events.checkpoint()

    def stepped(self, *, step: int, loss: float, tokens: int, gradient_norm: float, model: Any) -> None:
        seconds = time.perf_counter() - self._clock
        course = self.course
        if step != course.step:
            raise RunError(f"the backend reported step {step + 1} after step {course.step}")
        if self.stopped:
            raise RunError(f"the backend went on with step {step + 1}, though early stopping had ended the run")
        # In fp16 the scaler finds its scale by overflowing now and then, and skips those steps.
        course.overflows = 0 if math.isfinite(gradient_norm) else course.overflows + 1
        most = MOST_OVERFLOWS if self.plan.dtype == "fp16" else 0
        if why := unsound(loss, gradient_norm, course.overflows > most, self.model):
            samples = ", ".join(map(str, self._order[step][:8]))
            raise Diverged(
                f"{why} at step {step + 1} (samples {samples}): try a lower --learning-rate, or --dtype fp32"
            )
        if step == self.started_at:
            course.effective = self._first_step(self.model)
        course.losses.append(loss)
        course.tokens += tokens
        course.seconds += seconds
        course.due = (gradient_norm if math.isfinite(gradient_norm) else None, seconds, tokens)
        self._drawn = self._draws.state()
        if (found := spike(course.losses)) is not None:
            course.spikes.append(found)
        self._finish(model)
        self.checkpoint()
        self._clock = time.perf_counter()

    # What the worker does with it

    @property
    def finished(self) -> bool:
        """No step is left to do."""
        return self.course.step == len(self._order) or self.course.stopped

    @property
    def elapsed(self) -> float:
        """Seconds of all of the run's workers."""
        return time.perf_counter() - self._began

    def save(self) -> None:
        """A checkpoint of the last finished step, where that is not in one yet. Its generators are as they were then,
        whatever was drawn since.
        """
        if not self._drawn:
            return  # not one step was begun
        self.course.total_seconds = self.elapsed
        states: dict[str, Any] = {"draws": self._drawn, "base": self._base()}
        if not self.finished or self.course.due:
            states |= {f"of {name}": thing.state_dict() for name, thing in self._things.items()}
        self._checkpointing.save(self.course, self.model, states, self.best.file)

    def _take(self, model: Any, packing: bool) -> None:
        if self.model is not None:
            raise RunError("the backend loaded its model twice")
        self._events.checkpoint()
        if not self.finished or self.course.due:
            self.loss_function = self._accelerated(model) or self.loss_function
        self._measure(model, packing)
        if self._found is not None:
            place(model, load_file(self._found.weights), "the checkpoint's weights")
            self._found.bring_best(self.scratch / "best.safetensors")
            self._events.send("resumed", step=self.started_at, steps=len(self._order))
        self.model = model
        self.start()

    def _finish(self, model: Any) -> None:
        """What comes after a step: validation, the report, a checkpoint. A run that was stopped in the middle of it
        does all of it again.
        """
        course, done = self.course, self.course.step
        assert course.due is not None
        norm, seconds, tokens = course.due
        course.energy = self._joules()
        if self._memory is not None:  # before the validation, which holds more logits than a step needs
            course.memory = largest(course.memory, self._memory.read())
        fields: dict[str, Any] = {}
        last = done == len(self._order)
        due = done % self.plan.training.eval_every == 0 or last
        if self._validation is not None and due:
            if not course.validation or course.validation[-1][0] != done:  # else only its report came to nobody
                self._validate_after(done, model)
            fields["validation_loss"] = course.validation[-1][1]
        if course.spikes and course.spikes[-1].step == done:
            fields["usual_loss"] = course.spikes[-1].usual
        self._events.send(
            "metric",
            step=done,
            steps=len(self._order),
            loss=course.losses[-1],
            gradient_norm=math.inf if norm is None else norm,
            learning_rate=self.learning_rate(done - 1),
            tokens_per_second=course.tokens / course.seconds,
            seconds=seconds,
            tokens=tokens,
            tokens_so_far=course.tokens,
            trained=sum(self.rows.trained(sample) for sample in self._order[done - 1]),
            flops=self._flops([self.rows.length(sample) for sample in self._order[done - 1]]),
            memory=self._memory.now() if self._memory else 0,
            **fields,
        )
        course.due = None
        if self.finished or self._checkpointing.due(done):
            self.save()

    def _joules(self) -> float | None:
        now = self._meter.joules() if self._meter else None
        return self._energy_before if now is None else now + (self._energy_before or 0.0)

    def _validate_after(self, done: int, model: Any) -> None:
        value = self._validate(model)
        if not math.isfinite(value):
            raise Diverged(f"the validation loss is {value} after step {done}: try a lower --learning-rate")
        self.course.validation.append((done, value))
        self.best.validated(done, value, self.model)

    def _validate(self, model: Any) -> float:
        """Mean nats a trained token over the validation rows."""
        assert self._validation is not None
        total, count = 0.0, 0
        dtype = {"bf16": torch.bfloat16, "fp16": torch.float16}.get(self.plan.dtype)
        with inference(model), torch.autocast(self.device, dtype, enabled=dtype is not None):
            for samples in chunks(range(len(self._validation)), self.plan.training.micro_batch):
                self.checkpoint()
                batch = self._collate(self._validation, samples)
                total += self.loss_function(model, batch).item()
                count += batch.trained
        return total / count
