"""A base with the tuning method attached, and the run's initial weights."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file

from graftlm.contracts.errors import RunError
from graftlm.contracts.plan import Plan
from graftlm.contracts.services import Tuner
from graftlm_registry.home import replaced

from .digest import base_digest
from .effective import Loaded, loaded_base, place
from .load import load_base
from .patches import Patches


@dataclass(frozen=True, slots=True)
class Files:
    """The base's files, those of the adapter that is gone on from, and where the initial weights are, or are put.
    ``digest`` is that of the base's weights, where another job of the run has read it.
    """

    base: Path
    parent: Path | None
    initial: Path
    digest: str = ""


def load_adapted(plan: Plan, files: Files, patches: Patches, tuner: Tuner) -> tuple[Any, Loaded]:
    """Base, then patches of stage ``model``, then the method, then patches of stage ``adapter``."""
    patches.enter("load")
    base = load_base(plan.load, files.base, plan.device)
    loaded = loaded_base(base, files.digest or base_digest(base.model))
    patches.enter("model", base.model)
    tuned = _attach(plan, base.model, files, tuner)
    if plan.training.gradient_checkpointing:
        tuned.gradient_checkpointing_enable({"use_reentrant": False})
    patches.enter("adapter", tuned)
    return tuned, loaded


def _attach(plan: Plan, model: Any, files: Files, tuner: Tuner) -> Any:
    """The model with the method attached, its initial weights read, or drawn and written down."""
    torch.manual_seed(plan.training.seed)
    tuned = tuner.attach(model, plan.method, files.parent)
    if not any(p.requires_grad for p in tuned.parameters()):
        raise RunError(f"method {plan.method.name} trains nothing in this model")
    if files.initial.is_file():
        place(tuned, load_file(files.initial))
    elif plan.method.keeps == "adapter":  # those of an overlay are the base's
        write_initial(tuned, files.initial)
    return tuned


def write_initial(model: Any, path: Path) -> None:
    """What is trained, by the names of the parameters."""
    path.parent.mkdir(exist_ok=True)
    with replaced(path) as fresh:
        save_file({n: p.detach().cpu().contiguous() for n, p in model.named_parameters() if p.requires_grad}, fresh)
