"""The ``TrainingContext``: what a backend is handed."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch

from graftlm.contracts.errors import RunError
from graftlm.contracts.plan import Plan
from graftlm.contracts.services import Batch, LossFunction
from graftlm.encoding.rows import EncodedRows

from .batches import MicroBatches, Steps, chunks, collate, collate_packed
from .best import Best
from .energy import EnergyMeter
from .events import Events
from .generation import inference
from .optimizing import Stepping
from .plain_loss import PlainLoss
from .schedule import learning_rate

MOST_OVERFLOWS = 20
"""Steps in a row whose gradient may overflow in fp16."""


class RunContext:
    """Hands out batches, takes in losses, and validates when it is due."""

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
        loss: Callable[[Any], LossFunction | None],
        load: Callable[[], Any],
        place: Callable[[Any], None],
        measure: Callable[[Any, bool], None],
        first_step: Callable[[Any], None],
        flops: Callable[[Sequence[int]], float],
        last_step: Callable[[], None],
    ) -> None:
        self.plan, self.device, self.folder, self.encoded, self.scratch = plan, plan.device, folder, encoded, scratch
        self.parent = parent
        self.model: Any = None
        self.loss_function: LossFunction = PlainLoss(plan.device, plan.training.label_smoothing)
        self.stepping, self.best = Stepping(plan), Best(plan.training, scratch / "best.safetensors")
        self._accelerated = loss
        self._load, self._place, self._measure = load, place, measure
        self._first_step, self._flops, self._last_step = first_step, flops, last_step
        self._collate = collate_packed if plan.training.packing else collate
        self.losses: list[float] = []
        self.validation_losses: list[tuple[int, float]] = []
        self.tokens = 0
        self.seconds = 0.0
        self.energy: float | None = None
        self._meter: EnergyMeter | None = None
        self._events, self.rows, self._validation, self._order = events, rows, validation, order
        self._clock = 0.0
        self._overflows = 0

    def load(self, *, packing: bool = False) -> Any:
        model = self._load()
        self._take(model, packing)
        return model

    def loaded(self, model: Any, *, packing: bool = False) -> None:
        self._place(model)
        self._take(model, packing)

    def _take(self, model: Any, packing: bool) -> None:
        if self.model is not None:
            raise RunError("the backend loaded its model twice")
        self._events.checkpoint()
        self.loss_function = self._accelerated(model) or self.loss_function
        self._measure(model, packing)
        self.model = model

    def start(self) -> None:
        """Start the training clock."""
        self._meter = EnergyMeter(self.device)
        self._clock = time.perf_counter()

    def steps(self) -> Steps:
        return Steps(self.rows, self._order, self.plan.training.micro_batch, self._collate, lambda: self.stopped)

    def micro_batches(self) -> MicroBatches:
        return MicroBatches(self.rows, self._order, self.plan.training.micro_batch, self._collate)

    def loss(self, model: Any, batch: Batch) -> torch.Tensor:
        return self.loss_function(model, batch)

    def learning_rate(self, step: int) -> float:
        return learning_rate(step, self.plan.training)

    def optimizer(self, model: Any) -> torch.optim.Optimizer:
        return self.stepping.optimizer(model)

    def set_learning_rate(self, optimizer: torch.optim.Optimizer, step: int) -> None:
        for group in optimizer.param_groups:
            group["lr"] = self.learning_rate(step) * group.get("scale", 1.0)

    @property
    def stopped(self) -> bool:
        return self.best.stopped

    def checkpoint(self) -> None:
        self._events.checkpoint()

    def stepped(self, *, step: int, loss: float, tokens: int, gradient_norm: float, model: Any) -> None:
        now = time.perf_counter()
        seconds = now - self._clock
        self.seconds += seconds
        if step != len(self.losses):
            raise RunError(f"the backend reported step {step + 1} after step {len(self.losses)}")
        if self.stopped:
            raise RunError(f"the backend went on with step {step + 1}, though early stopping had ended the run")
        # In fp16 the scaler finds its scale by overflowing now and then, and skips those steps.
        self._overflows = 0 if math.isfinite(gradient_norm) else self._overflows + 1
        overflow = self._overflows > (MOST_OVERFLOWS if self.plan.dtype == "fp16" else 0)
        if overflow or not math.isfinite(loss):
            samples = ", ".join(map(str, self._order[step][:8]))
            raise RunError(
                f"the loss is {loss} and the gradient norm {gradient_norm} at step {step + 1} (samples {samples}): "
                "try a lower --learning-rate, or --dtype fp32"
            )
        if not self.losses:
            self._first_step(self.model)
        self.losses.append(loss)
        self.tokens += tokens
        self.energy = self._meter.joules() if self._meter else None
        fields: dict[str, Any] = {}
        done = step + 1
        lengths = [self.rows.length(sample) for sample in self._order[step]]
        due = done % self.plan.training.eval_every == 0 or done == len(self._order)
        if done == len(self._order) or (due and self.plan.training.early_stopping):
            self._last_step()  # the validation that follows holds more logits than a step needs
        if self._validation is not None and due:
            value = self._validate(model)
            if not math.isfinite(value):
                raise RunError(f"the validation loss is {value} after step {done}: try a lower --learning-rate")
            self.validation_losses.append((done, value))
            fields["validation_loss"] = value
            self.best.validated(done, value, self.model)
        self._events.send(
            "metric",
            step=done,
            steps=len(self._order),
            loss=loss,
            gradient_norm=gradient_norm,
            learning_rate=self.learning_rate(step),
            tokens_per_second=self.tokens / self.seconds,
            seconds=seconds,
            tokens=tokens,
            trained=sum(self.rows.trained(sample) for sample in self._order[step]),
            flops=self._flops(lengths),
            **fields,
        )
        self.checkpoint()
        self._clock = time.perf_counter()

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
