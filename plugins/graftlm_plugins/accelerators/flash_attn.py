"""FlashAttention over packed samples, and the preset ``--backend flash-attn``.

What is relied on, as transformers 5.23 has it. Packed batches reach a model with ``position_ids`` that start anew at
each sample, without an attention mask and with ``use_cache=False``, as one row. Then ``_flash_attention_forward``
takes the borders of the samples from the positions (a batch of one row, no mask, positions that do not simply count
up: a mask or a second row would be another path), and calls ``flash_attn_varlen_func`` with them, so that no sample
sees another and nothing is padded. A row with a single sample takes ``flash_attn_func``, which is the same there.

Where transformers does not find the package, it loads a kernel from the network in its place, if ``kernels`` is
installed, with a warning. ``Package`` refuses that before the base is loaded, and the core once more afterwards.

``--accelerator auto`` takes the third release before ``varlen``, where it is built and the device is a Hopper; the
second comes after ``varlen``, whose kernel is the same one in torch, and serves where only its code keeps packed
samples apart (Falcon with rotary positions).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING

from graftlm.api import Accelerator, BackendPreset, Requirement, RunError, hookimpl

from .attentions import mixing

if TYPE_CHECKING:
    from graftlm.api import PatchContext, Situation

HALF = ("bf16", "fp16")
LARGEST_HEAD = 256
MODULES = {"flash_attention_2": "flash_attn", "flash_attention_3": "flash_attn_interface"}
"""What transformers imports for each, by its name."""
NEWEST_FOR_3 = 9
"""The first number of the compute capability: its kernels are made for Hopper, not for what came later."""


def supports(attention: str, situation: Situation) -> Sequence[str]:
    """For ``attention`` by transformers' name."""
    found = [*_of_device(attention, situation), *_of_model(attention, situation)]
    if attention == "flash_attention_3" and "flash-attn-3" not in situation.probe.versions:
        found.append(
            "needs flash-attn-3, which is not installed, and which pip knows no release of: build it from the folder "
            "hopper of FlashAttention's sources, or say --accelerator flash-attn"
        )
    return found


def _of_device(attention: str, situation: Situation) -> list[str]:
    found = []
    capabilities = [d.compute_capability for d in situation.probe.devices if d.type == "cuda"]
    if situation.device != "cuda" and capabilities:  # where there is no such device, the requirement says so
        found.append(
            f"computes on a GPU, and the run is on {situation.device}: say --device cuda, or --accelerator sdpa"
        )
    newest = max((c for c in capabilities if c), default=(0, 0))
    if attention == "flash_attention_3" and newest[0] > NEWEST_FOR_3:
        found.append(
            f"has kernels for compute capability 9.0 alone, and the device has {newest[0]}.{newest[1]}: "
            "say --accelerator flash-attn, or sdpa"
        )
    if situation.dtype not in HALF:
        found.append(f"computes in bf16 and fp16, not in {situation.dtype}: say --dtype bf16, or --accelerator sdpa")
    return found


def _of_model(attention: str, situation: Situation) -> list[str]:
    facts, config = situation.facts, situation.config
    found = mixing(attention, situation)
    head = facts.shape.head_dim if facts.shape else 0
    if head > LARGEST_HEAD:
        found.append(
            f"takes heads of up to {LARGEST_HEAD}, and those of this model have {head}: say --accelerator sdpa"
        )
    if attention == "flash_attention_3":
        if head % 8:
            found.append(f"takes heads of a multiple of 8, and those of this model have {head}: say --accelerator sdpa")
        if config.get("attention_dropout"):
            found.append(
                f"has no dropout, and config.json says attention_dropout {config['attention_dropout']}: "
                "say --accelerator flash-attn, or sdpa"
            )
    return found


class Package:
    """At the stage ``load``: the package is found by transformers and fits this torch; ``RunError`` where not.

    Nothing is changed, so that nothing has to be restored.
    """

    def __init__(self, context: PatchContext) -> None:
        self._attention, self._happened = context.plan.load.attention, context.happened

    def __enter__(self) -> None:
        from transformers import utils

        finds = {
            "flash_attention_2": utils.is_flash_attn_2_available,
            "flash_attention_3": utils.is_flash_attn_3_available,
        }
        name = MODULES[self._attention]
        if not finds[self._attention]():
            raise RunError(
                f"transformers does not take the installed {name} for {self._attention}, and would look for another "
                "kernel on the network: install the package anew, or say --accelerator sdpa"
            )
        try:
            module = import_module(name)
        except (ImportError, OSError) as error:  # made for another torch, as a rule
            first = next(iter(str(error).splitlines()), type(error).__name__)
            raise RunError(
                f"{name} cannot be imported: {first} (build it for this torch: pip install --no-build-isolation "
                f"--force-reinstall --no-deps {name.replace('_', '-')}, or say --accelerator sdpa)"
            ) from error
        self._happened["package"] = f"{name} {getattr(module, '__version__', '')}".strip()

    def __exit__(self, *_: object) -> None:
        pass


@hookimpl
def graftlm_accelerators() -> Iterable[Accelerator]:
    yield Accelerator(
        name="flash-attn",
        summary="FlashAttention 2 over packed samples, without padding",
        claims=("attention",),
        attention="flash_attention_2",
        packs=True,
        patches={"load": "graftlm_plugins.accelerators.flash_attn:Package"},
        supports=partial(supports, "flash_attention_2"),
        requires=(
            Requirement(
                distribution="flash-attn", minimum="2.8", flags="--no-build-isolation"
            ),  # it builds for our torch
            Requirement(device="cuda", compute_capability=(8, 0)),
        ),
        rank=75,
        gain="no padding",
    )
    yield Accelerator(
        name="flash-attn-3",
        summary="FlashAttention 3 over packed samples, for Hopper GPUs, built from source",
        claims=("attention",),
        attention="flash_attention_3",
        packs=True,
        patches={"load": "graftlm_plugins.accelerators.flash_attn:Package"},
        supports=partial(supports, "flash_attention_3"),
        requires=(Requirement(device="cuda", compute_capability=(9, 0)),),  # no line of pip's would bring the package
        rank=95,
        gain="no padding, kernels for Hopper",
    )


@hookimpl
def graftlm_backends() -> Iterable[BackendPreset]:
    yield BackendPreset(
        name="flash-attn",
        summary="peft with FlashAttention 2 over packed samples",
        backend="peft",
        accelerators=("flash-attn",),
    )
