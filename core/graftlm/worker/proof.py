"""Proof that an adapter is what it is said to be."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from graftlm.contracts.errors import RunError
from graftlm.contracts.outcome import Proof
from graftlm.contracts.services import Tuner
from graftlm.encoding.rows import EncodedRows

from .batches import collate
from .generation import inference

SAMPLES = 4
RELOADED = 0.01
"""Largest share of the adapter's own effect that a reload may differ by."""
NOISE = 1e-5


def base_digest(model: Any) -> str:
    """SHA-256 of the frozen weights by their own names, whether or not an adapter is attached."""
    whole = hashlib.sha256()
    named = {_own_name(n): p for n, p in model.named_parameters() if not p.requires_grad}
    named |= {_own_name(n): b for n, b in model.named_buffers() if "rotary" not in n}
    for name in sorted(named):
        tensor = named[name].detach().contiguous().flatten().view(torch.uint8).cpu()
        whole.update(f"{name} {named[name].dtype} {tuple(named[name].shape)}\n".encode())
        whole.update(tensor.numpy().data)
    return whole.hexdigest()


def _own_name(name: str) -> str:
    return name.removeprefix("base_model.model.").replace(".base_layer.", ".")


def logits(model: Any, rows: EncodedRows, samples: Sequence[int], device: str) -> torch.Tensor:
    """Logits at every real token of some samples, ``float32[tokens, vocabulary]``."""
    batch = collate(rows, samples)
    with inference(model):
        found = model(input_ids=batch.ids.to(device), attention_mask=batch.mask.to(device), use_cache=False).logits
    real: torch.Tensor = found[batch.mask.to(device).bool()].float().cpu()
    return real


def prove(model: Any, tuner: Tuner, staged: Path, rows: EncodedRows, device: str, base_before: str) -> Proof:
    """Raises ``RunError`` where the adapter has no effect, the staged files are another one, or the base changed."""
    samples = range(min(SAMPLES, len(rows)))
    tuned = logits(model, rows, samples, device)
    with tuner.untuned(model):
        untuned = logits(model, rows, samples, device)
    with tuner.reload(model, staged) as reloaded:
        again = logits(reloaded, rows, samples, device)
    effect = float((tuned - untuned).abs().max())
    reload = float((tuned - again).abs().max())
    if not effect > 0:
        raise RunError("the adapter changes nothing: its logits are the base's (train longer, or with a higher rate)")
    if not reload <= max(NOISE, RELOADED * effect):
        raise RunError(f"the staged adapter gives other logits than the trained one (by {reload:.3g})")
    base_after = base_digest(model)
    if base_after != base_before:
        raise RunError("the base's weights changed while the adapter was trained")
    return Proof(effect=effect, reload=reload, base_before=base_before, base_after=base_after)
