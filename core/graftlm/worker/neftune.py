"""NEFTune: noise on the embeddings while training (Jain et al. 2023, arXiv 2310.05914)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch

from graftlm.contracts.errors import RunError


@contextmanager
def noisy_embeddings(model: Any, alpha: float, generator: torch.Generator) -> Iterator[None]:
    """In training mode, each number of a token's embedding gets noise, uniform up to ``alpha / sqrt(tokens * width)``
    to either side, drawn by ``generator``; ``tokens`` are those of its sample, padding aside. ``RunError`` at the end
    where it never happened.
    """
    causal = model.get_base_model() if hasattr(model, "get_base_model") else model
    decoder, embeddings = getattr(causal, causal.base_model_prefix, None), causal.get_input_embeddings()
    if decoder is None:
        raise RunError("NEFTune: nobody knows where this architecture reads its embeddings: leave --neftune-alpha out")
    inputs: dict[str, Any] = {}
    times = 0

    def seen(module: Any, given: tuple[Any, ...], named: Mapping[str, Any]) -> None:
        inputs.clear()
        inputs.update(named)

    def noise(module: Any, given: tuple[Any, ...], embedded: torch.Tensor) -> torch.Tensor | None:
        nonlocal times
        if not module.training:
            return None
        times += 1
        most = alpha / (tokens_of(inputs, embedded) * embedded.shape[-1]).sqrt()
        drawn = torch.rand(embedded.shape, generator=generator, device=embedded.device, dtype=torch.float32)
        return embedded + ((2 * drawn - 1) * most[..., None]).to(embedded.dtype)

    hooks = (decoder.register_forward_pre_hook(seen, with_kwargs=True), embeddings.register_forward_hook(noise))
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()
    if not times:
        raise RunError("NEFTune did nothing: the backend trained without the model's own embeddings")


def tokens_of(inputs: Mapping[str, Any], embedded: torch.Tensor) -> torch.Tensor:
    """How many tokens the sample of each position has, ``float32[samples, 1 or tokens]``: by the mask, or, packed, by
    positions that start from 0 at each sample.
    """
    mask, positions = inputs.get("attention_mask"), inputs.get("position_ids")
    if mask is not None and mask.dim() == 2:
        real: torch.Tensor = mask.sum(1, keepdim=True)
        return real.float()
    if positions is None:
        return torch.full((embedded.shape[0], 1), float(embedded.shape[1]), device=embedded.device)
    sample = (positions.reshape(-1) == 0).cumsum(0)
    counts: torch.Tensor = sample.bincount()[sample].float()
    return counts.reshape(positions.shape)
