"""The gradients of a plan's model, as its accelerators compute them.

LoRA's second matrices are drawn at random first: with the zeros that training starts from, the gradients of the first
ones are zero, whatever one computes.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import FunctionType, MethodType
from typing import TYPE_CHECKING, Any

from graftlm.contracts.plan import Plan
from graftlm.contracts.services import Tuner

if TYPE_CHECKING:
    import torch

    from graftlm.contracts.services import Batch

LENGTHS = (23, 5, 40, 2, 17, 11)
"""Tokens of the samples, two to a micro-batch."""
DRAWN = 0.1
"""Standard deviation of LoRA's second matrices."""


@dataclass(frozen=True)
class Gradients:
    """Of every trained tensor, in fp32, and the summed loss in nats. ``happened`` is what the accelerators say that
    they did, ``at_work`` what computed while they were in force, ``left`` what hangs on the model when they are gone.
    """

    loss: float
    tensors: Mapping[str, torch.Tensor]
    happened: Mapping[str, Mapping[str, Any]]
    at_work: Mapping[str, Any]
    left: frozenset[str]

    def error(self, other: Gradients, least: float = 0.0) -> float:
        """The largest relative error of a tensor: the norm of the difference over the norm of the other's, which counts
        as ``least`` of that of all tensors where it is smaller: what should be zero is rounding alone.
        """
        assert self.tensors.keys() == other.tensors.keys()
        floor = max(1e-12, least * sum(float(its.double().square().sum()) for its in other.tensors.values()) ** 0.5)
        pairs = ((mine.double(), other.tensors[name].double()) for name, mine in self.tensors.items())
        return max(float((mine - its).norm() / its.norm().clamp_min(floor)) for mine, its in pairs)

    def other_than(self, plain: Gradients) -> list[str]:
        """What computed otherwise than in plain execution: functions that others stood in place of, functions and hooks
        on single modules, classes of modules, the loss.
        """
        mine, its = self.at_work, plain.at_work
        return sorted(
            what for what in mine if mine[what] != its.get(what) and (what in its or not isinstance(mine[what], int))
        )

    def whole_error(self, other: Gradients) -> float:
        """The same of all tensors as one."""
        pairs = [(mine.double(), other.tensors[name].double()) for name, mine in self.tensors.items()]
        apart = sum(float((mine - its).square().sum()) for mine, its in pairs)
        return float((apart / sum(float(its.square().sum()) for _, its in pairs)) ** 0.5)


def gradients(plan: Plan, scratch: Path, draw: int = 0) -> Gradients:
    """Of one optimizer step over random samples of ``LENGTHS``; each ``draw`` has other numbers in LoRA."""
    import torch

    from graftlm.worker.adapt import Files, load_adapted
    from graftlm.worker.patches import Patches
    from graftlm.worker.plain_loss import PlainLoss
    from graftlm.worker.targets import resolve_target

    with ExitStack() as stack:
        patches = Patches(plan, plan.device, stack)
        patches.enter("import")
        tuner: Tuner = resolve_target(plan.part("method").target)()
        initial = scratch / "initial" / f"{plan.hash}.safetensors"
        model, _ = load_adapted(plan, Files(Path(plan.model.folder), None, initial, "not asked for"), patches, tuner)
        torch.manual_seed(draw)
        for name, parameter in model.named_parameters():
            if "lora_B" in name:
                torch.nn.init.normal_(parameter, std=DRAWN)
        patches.enter("step", model)
        loss = patches.loss(model) or PlainLoss(plan.device, plan.training.label_smoothing)
        half = {"bf16": torch.bfloat16, "fp16": torch.float16}.get(plan.dtype)
        model.train()
        total = 0.0
        for _ in range(2):  # what was found out in the first pass must hold in the second
            model.zero_grad()
            total = 0.0
            for batch in _batches(plan):
                with torch.autocast(plan.device, half, enabled=half is not None):
                    part = loss(model, batch)
                part.backward()  # type: ignore[no-untyped-call]
                total += float(part.detach())
        tensors = {n: p.grad.float() for n, p in model.named_parameters() if p.grad is not None}
        happened = patches.happened()
        at_work: dict[str, Any] = {**library_code(), **dict.fromkeys(_hanging(model), "there"), "loss": loss.name}
        at_work |= {path: type(module).__name__ for path, module in model.named_modules()}
    return Gradients(total, tensors, happened, at_work, frozenset(_hanging(model)))


def _batches(plan: Plan) -> Iterator[Batch]:
    """The same samples each time, padded or packed; of some all is trained, of one its last token alone."""
    import numpy as np

    from graftlm.encoding.rows import EncodedRows
    from graftlm.encoding.tokenizing import IGNORED
    from graftlm.worker.batches import chunks, collate, collate_packed

    assert plan.model.facts.shape is not None
    ids = np.random.default_rng(0).integers(3, plan.model.facts.shape.vocabulary, sum(LENGTHS), dtype=np.int32)
    offsets = np.cumsum([0, *LENGTHS], dtype=np.int64)
    labels = ids.copy()
    for i, begin in enumerate(offsets[:-1].tolist()):
        hidden = (0, LENGTHS[i] // 2, LENGTHS[i] - 1)[i % 3]
        labels[begin : begin + hidden] = IGNORED
    rows = EncodedRows(ids, labels, offsets, np.arange(len(LENGTHS), dtype=np.int32))
    put_together = collate_packed if plan.training.packing else collate
    yield from (put_together(rows, part) for part in chunks(range(len(LENGTHS)), 2))


def _hanging(model: Any) -> Iterator[str]:
    """Functions that were put on single modules, and hooks."""
    for path, module in model.named_modules():
        for name, value in vars(module).items():
            if isinstance(value, FunctionType | MethodType):
                yield f"{path}.{name}"
        for hooks in ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks"):
            yield from (f"{path}.{hooks}" for _ in getattr(module, hooks))


CODE = ("transformers.models.", "transformers.integrations.", "transformers.m", "torch.nn.functional", "peft.tuners.")
"""Modules whose functions accelerators put others in place of."""


def library_code() -> Mapping[str, int]:
    """Functions, methods and tables of functions in the libraries, by name, each as its identity."""
    found: dict[str, int] = {}
    for home, module in list(sys.modules.items()):
        if not home.startswith(CODE) or type(module).__name__ == "_LazyModule":
            continue
        for name, value in list(vars(module).items()):
            if isinstance(value, FunctionType):
                found[f"{home}.{name}"] = id(value)
            elif isinstance(value, type) and value.__module__ == home:
                methods = ((n, v) for n, v in vars(value).items() if isinstance(v, FunctionType))
                found |= {f"{home}.{name}.{n}": id(v) for n, v in methods}
            elif hasattr(type(value), "_global_mapping"):
                found |= {f"{home}.{name}[{key}]": id(value[key]) for key in value}
    return found
