"""A plugin that breaks runs: accelerator ``faulty``, and optimizer ``faulty-adamw``.

``GRAFTLM_FAULT`` says how, as ``NAME NUMBER``, several joined by commas; micro-batches and steps count from 1 in each
process:

- ``nan-loss K``, ``inf-loss K``: the loss of the K-th training micro-batch is no number, or infinite.
- ``spike K``: its loss is twenty times what it was.
- ``nan-gradient K``, ``inf-gradient K``: so is a gradient.
- ``nan-weight K``, ``inf-weight K``: the optimizer's K-th step makes a weight that.
- ``no-memory N``, ``no-cpu-memory N``: micro-batches of more than N samples run out of memory.
- ``killed N``: a micro-batch of more than N samples, and the kernel kills the worker (it counts that in the file
  ``GRAFTLM_KILLS``).
- ``ballast N``: a micro-batch of more than N samples takes two GiB.
- ``slow X``: each micro-batch sleeps X seconds first. ``stuck K``: the K-th one sleeps for ten minutes.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from graftlm.api import Accelerator, Optimizer, PatchContext, hookimpl

BALLAST = 2 << 30
BAD = {"nan": float("nan"), "inf": float("inf")}


def faults() -> Mapping[str, float]:
    said = os.environ.get("GRAFTLM_FAULT", "")
    return {name: float(number) for name, number in (one.split() for one in said.split(",") if one)}


@contextmanager
def broken(context: PatchContext) -> Iterator[None]:
    """Stage ``adapter``: hooks on the model and on what is trained."""
    import torch

    wanted, model = faults(), context.model
    context.happened["faults"] = sorted(wanted)
    trained = backward = 0

    def before(module: Any, given: Any, named: Any) -> None:
        nonlocal trained
        time.sleep(wanted.get("slow", 0))
        if not model.training:
            return
        trained += 1
        if trained == wanted.get("stuck"):
            time.sleep(600)
        ids = named.get("input_ids")
        samples = len(ids) if ids is not None else len(given[0])
        if samples > wanted.get("no-memory", samples):
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB")
        if samples > wanted.get("no-cpu-memory", samples):
            raise RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to allocate much")
        if samples > wanted.get("ballast", samples):
            torch.ones(BALLAST // 4).add_(1)
        if samples > wanted.get("killed", samples):
            counter = Path(os.environ["GRAFTLM_KILLS"])
            counter.write_text(f"oom_kill {1 + int(counter.read_text().split()[1])}\n")
            os.kill(os.getpid(), signal.SIGKILL)

    def after(module: Any, given: Any, result: Any) -> Any:
        if module.training:
            if trained == wanted.get("nan-loss"):
                result = result * BAD["nan"]
            if trained == wanted.get("inf-loss"):  # every word but the first is impossible
                result = torch.cat([result[..., :1], torch.full_like(result[..., 1:], -BAD["inf"])], -1)
            if trained == wanted.get("spike"):
                result = result * 20
        return result

    def gradient(found: Any) -> Any:
        nonlocal backward
        backward += 1
        for name, value in BAD.items():
            if backward == wanted.get(f"{name}-gradient"):
                return torch.full_like(found, value)
        return found

    causal = model.get_base_model() if hasattr(model, "get_base_model") else model
    first = next(p for p in model.parameters() if p.requires_grad)
    hooks = (
        causal.register_forward_pre_hook(before, with_kwargs=True),
        causal.get_output_embeddings().register_forward_hook(after),
        first.register_hook(gradient),
    )
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


def adamw(groups: Any, *, learning_rate: float, weight_decay: float, options: Mapping[str, Any]) -> Any:
    """AdamW that spoils a weight in one of its steps."""
    import torch

    wanted, steps = faults(), 0

    class Spoiling(torch.optim.AdamW):
        def step(self, closure: Any = None) -> Any:  # type: ignore[override]
            nonlocal steps
            found = super().step(closure)
            steps += 1
            for name, value in BAD.items():
                if steps == wanted.get(f"{name}-weight"):
                    with torch.no_grad():
                        self.param_groups[0]["params"][-1].view(-1)[0] = value
            return found

    return Spoiling(groups, lr=learning_rate, weight_decay=weight_decay)


@hookimpl
def graftlm_accelerators() -> Iterable[Accelerator]:
    yield Accelerator(
        name="faulty", summary="breaks runs", claims=("tests",), patches={"adapter": "graftlm_faulty:broken"}
    )


@hookimpl
def graftlm_optimizers() -> Iterable[Optimizer]:
    yield Optimizer(name="faulty-adamw", summary="spoils a weight", target="graftlm_faulty:adamw")
