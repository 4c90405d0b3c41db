"""The plain loss: cross-entropy over the trained positions of all logits."""

from __future__ import annotations

from typing import Any

import torch

from graftlm.contracts.services import Batch
from graftlm.encoding.tokenizing import IGNORED


class PlainLoss:
    """A ``LossFunction`` that asks the model for the logits of every position."""

    name = "cross-entropy over the trained positions"

    def __init__(self, device: str, smoothing: float = 0.0) -> None:
        self._device, self._smoothing = device, smoothing

    def __call__(self, model: Any, batch: Batch) -> torch.Tensor:
        labels = batch.labels.to(self._device)[:, 1:]
        logits = model(**batch.inputs(self._device)).logits[:, :-1]
        trained = labels != IGNORED
        smoothing = self._smoothing if model.training else 0.0  # a validation loss stays one in plain nats
        return torch.nn.functional.cross_entropy(
            logits[trained].float(), labels[trained], reduction="sum", label_smoothing=smoothing
        )
