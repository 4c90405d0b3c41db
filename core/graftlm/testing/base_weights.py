"""The base's weights as a backend leaves them in memory: its files cannot tell."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch


@contextmanager
def frozen_weights() -> Iterator[dict[str, torch.Tensor]]:
    """Of a run in this process, when it has trained: what was not, by its names in the base. Empty where the run was in
    an environment of its own.
    """
    from graftlm.worker import proof

    plain, found = proof.proof_logits, dict[str, Any]()

    def watched(model: Any, *rest: Any) -> torch.Tensor:
        if not found:  # the first is what was trained, the others are loaded anew
            for path, weight in model.named_parameters():
                if not weight.requires_grad:
                    found[path.removeprefix("base_model.model.").replace(".base_layer", "")] = weight.detach().clone()
        return plain(model, *rest)

    proof.proof_logits = watched  # type: ignore[assignment]
    try:
        yield found
    finally:
        proof.proof_logits = plain


def changed_weights(found: Mapping[str, torch.Tensor], folder: Path) -> list[str]:
    """Names of those that are others than in the base's files (loaded in fp32), or are in none."""
    import torch
    from transformers import AutoModelForCausalLM

    base = dict(AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).named_parameters())
    return sorted(name for name, weight in found.items() if name not in base or not torch.equal(weight, base[name]))
