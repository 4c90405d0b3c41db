"""A base with the tuning method attached."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file

from graftlm.contracts.errors import RunError
from graftlm.contracts.plan import Plan
from graftlm.contracts.services import LoadedModel, Tuner

from . import rope
from .digest import base_digest
from .load import load_base
from .patches import Patches


def load_adapted(
    plan: Plan, folder: Path, initial: Path, parent: Path | None, patches: Patches, tuner: Tuner
) -> LoadedModel:
    """Base, then patches of stage ``model``, then the method, then patches of stage ``adapter``."""
    patches.enter("load")
    base = load_base(plan.load, folder, plan.device)
    digest = base_digest(base.model)
    patches.enter("model", base.model)
    attention, positions = base.model.config._attn_implementation, rope.rope_of(base.model)
    tuned = _attach(plan, base.model, initial, parent, tuner)
    if plan.training.gradient_checkpointing:
        tuned.gradient_checkpointing_enable({"use_reentrant": False})
    patches.enter("adapter", tuned)
    return LoadedModel(
        model=tuned,
        linear_layers=len(base.linear),
        quantized_layers=len(base.quantized),
        adapted=tuner.adapted(tuned),
        attention=attention,
        quantized_share=base.share,
        base_digest=digest,
        base_parameters=base.parameters,
        dtype=base.dtype,
        rope=positions,
    )


def _attach(plan: Plan, model: Any, initial: Path, parent: Path | None, tuner: Tuner) -> Any:
    """The model with the method attached, its initial weights read from ``initial``, or drawn and written there."""
    torch.manual_seed(plan.training.seed)
    tuned = tuner.attach(model, plan.method, parent)
    trainable = {name: p for name, p in tuned.named_parameters() if p.requires_grad}
    if not trainable:
        raise RunError(f"method {plan.method.name} trains nothing in this model")
    if initial.is_file():
        known = load_file(initial)
        if known.keys() != trainable.keys():
            raise RunError(f"the initial weights in {initial} are of another adapter")
        with torch.no_grad():
            for name, parameter in trainable.items():
                parameter.copy_(known[name])
    elif plan.method.keeps == "adapter":  # those of an overlay are the base's
        initial.parent.mkdir(parents=True, exist_ok=True)
        save_file({name: p.detach().cpu().contiguous() for name, p in trainable.items()}, initial)
    return tuned
