"""The loss of ``supervised-logits``: hidden states, of these the trained positions, of these the logits in chunks.

The head is the model's own ``forward`` behind its decoder, so that whatever an architecture does to its logits is done
here too. Where the head is frozen, a chunk's gradient is computed right after its loss, and its logits are let go:
there are never more than a chunk of them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch
from torch.nn.functional import cross_entropy
from torch.utils.checkpoint import checkpoint
from transformers.modeling_outputs import BaseModelOutputWithPast

from graftlm.api import RunError

from ..supervised_logits import CHUNK

if TYPE_CHECKING:
    from graftlm.api import Batch, PatchContext

IGNORED = -100


class SupervisedLoss:
    """A ``LossFunction``."""

    name = "cross-entropy over the trained positions, whose logits alone are computed"

    def __init__(self, context: PatchContext) -> None:
        model = context.model
        self._device, self._happened = context.device, context.happened
        self._smoothing = context.plan.training.label_smoothing
        self._causal = model.get_base_model() if hasattr(model, "get_base_model") else model
        if getattr(model, "active_peft_config", None) is not None and model.active_peft_config.is_prompt_learning:
            raise RunError("supervised-logits: a method that adds tokens to the text moves its positions: leave it out")
        self._head = _Head(self._causal)
        vocabulary = self._causal.get_output_embeddings().weight.shape[0]
        self._chunk = max(1, CHUNK[context.device] // (4 * vocabulary))
        self._happened["logits in a chunk"] = self._chunk

    def __call__(self, model: Any, batch: Batch) -> torch.Tensor:
        labels = batch.labels[:, 1:]
        trained = labels != IGNORED
        wanted, targets = trained.flatten().nonzero().flatten().to(self._device), labels[trained].to(self._device)
        hidden = self._head.hidden(batch.inputs(self._device))[:, :-1]
        hidden = hidden.reshape(-1, hidden.shape[-1]).index_select(0, wanted)
        smoothing = self._smoothing if model.training else 0.0
        if len(targets) <= self._chunk:
            return _loss(self._head, hidden, targets, smoothing)
        pairs = zip(torch.split(hidden, self._chunk), torch.split(targets, self._chunk), strict=True)
        if self._head.frozen() and hidden.requires_grad:
            given = (hidden, targets, self._head, self._chunk, smoothing)
            return _Chunked.apply(*given)  # type: ignore[no-any-return,no-untyped-call]
        return sum(
            (checkpoint(_loss, self._head, *pair, smoothing, use_reentrant=False) for pair in pairs),
            torch.zeros((), device=self._device),
        )


class _Head:
    """A model's ``forward`` behind its decoder: ``[n, hidden]`` to ``[n, words]``."""

    def __init__(self, causal: Any) -> None:
        self.causal, self._decoder = causal, getattr(causal, causal.base_model_prefix)
        self._kind: Any = BaseModelOutputWithPast

    def hidden(self, inputs: Mapping[str, Any]) -> torch.Tensor:
        """What the decoder makes of a batch, ``[samples, tokens, hidden]``."""
        out = self._decoder(**inputs)
        self._kind = type(out)  # models with experts give more than hidden states
        hidden: torch.Tensor = out.last_hidden_state
        return hidden

    def __call__(self, hidden: torch.Tensor) -> torch.Tensor:
        with _standing_in(self._decoder, self._kind(last_hidden_state=hidden[None])):
            logits: torch.Tensor = self.causal(input_ids=None, use_cache=False).logits
        return logits[0]

    def frozen(self) -> bool:
        return not any(p.requires_grad for p in self.causal.get_output_embeddings().parameters())


@contextmanager
def _standing_in(decoder: Any, output: Any) -> Iterator[None]:
    """The decoder gives this, whatever it is asked."""
    before = vars(decoder).get("forward")
    decoder.forward = lambda *_, **__: output
    try:
        yield
    finally:
        if before is None:
            del decoder.forward
        else:
            decoder.forward = before


def _loss(head: _Head, hidden: torch.Tensor, targets: torch.Tensor, smoothing: float) -> torch.Tensor:
    return cross_entropy(head(hidden).float(), targets, reduction="sum", label_smoothing=smoothing)


class _Chunked(torch.autograd.Function):
    """The summed loss over chunks; of the backward pass, only the gradient of the hidden states is kept."""

    @staticmethod
    def forward(
        ctx: Any, hidden: torch.Tensor, targets: torch.Tensor, head: _Head, size: int, smoothing: float
    ) -> torch.Tensor:
        total = torch.zeros((), device=hidden.device)
        gradients: list[torch.Tensor] = []
        for part, labels in zip(torch.split(hidden.detach(), size), torch.split(targets, size), strict=True):
            with torch.enable_grad():
                part = part.requires_grad_()
                loss = _loss(head, part, labels, smoothing)
            gradients += torch.autograd.grad(loss, part)
            total += loss.detach()
        ctx.save_for_backward(torch.cat(gradients))
        return total

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[Any, ...]:
        (saved,) = ctx.saved_tensors
        return saved * gradients[0], None, None, None, None
