"""Loading the base and attaching the method, as the plan says; and counting what came of it."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from transformers import AutoConfig, AutoModelForCausalLM, GenerationConfig

from graftlm.contracts.errors import ModelError, RunError
from graftlm.contracts.plan import Plan
from graftlm.contracts.services import LoadContext, LoadedModel, Quantizer, Tuner

from .patches import Patches
from .targets import resolve_target

DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


def random_weights(folder: Path) -> None:
    """Draw the weights of a ``shape:`` model into its folder, once; they are the same for every run."""
    marker = folder / "weights.complete"
    if marker.exists():
        return
    torch.manual_seed(0)
    fresh = folder.with_name(f"{folder.name}.{os.getpid()}")
    model = AutoModelForCausalLM.from_config(AutoConfig.from_pretrained(folder, trust_remote_code=False))
    model.save_pretrained(fresh)
    for path in sorted(fresh.glob("model*")):
        path.replace(folder / path.name)
    shutil.rmtree(fresh)
    marker.touch()


def from_files(name: str, folder: Path, dtype: str, attention: str, **arguments: Any) -> Any:
    """A model from its safetensors, every tensor of it; ``ModelError`` where they cannot be read or do not fit."""
    try:
        model, loaded = AutoModelForCausalLM.from_pretrained(
            folder,
            dtype=DTYPES[dtype],
            attn_implementation=attention,
            local_files_only=True,
            trust_remote_code=False,
            use_safetensors=True,
            output_loading_info=True,
            **arguments,
        )
    except (OSError, ValueError, RuntimeError, SafetensorError) as error:
        first = next(iter(str(error).splitlines()), type(error).__name__)
        raise ModelError(f"{name} cannot be loaded from {folder}: {first}") from error
    lacking = [*loaded["missing_keys"], *loaded["mismatched_keys"]]
    if lacking:  # transformers draws random numbers for these, and goes on
        raise ModelError(f"{folder} lacks weights of {name}: {len(lacking)} tensors, the first {lacking[0]}")
    model.generation_config = GenerationConfig()  # a file's beams or penalties would make "greedy" something else
    ran = model.config._attn_implementation
    if ran != attention:
        raise RunError(f"the plan says {attention} attention, and {ran} was loaded")
    return model


def load_base(plan: Plan, folder: Path, device: str) -> tuple[Any, int]:
    """The base on its device, and the number of its layers that are really quantized."""
    quantizer: Quantizer = resolve_target(plan.part("quantization").target)()
    context = LoadContext(plan=plan, folder=folder, device=device, options=plan.options.get("quantization", {}))
    arguments = quantizer.load_arguments(context)
    model = from_files(plan.model.name, folder, plan.dtype, plan.attention, **arguments)
    if not arguments:  # a quantizer places the weights itself
        model.to(device)
    model = quantizer.prepare(model, context)
    return model, quantizer.count(model)


def linear_layers(model: Any) -> int:
    """Linear layers, the output head left out."""
    head = model.get_output_embeddings()
    return sum(isinstance(m, torch.nn.Linear) and m is not head for m in model.modules())


def attach(plan: Plan, model: Any, initial: Path, tuner: Tuner) -> Any:
    """The model with the method's adapter, its initial weights read from ``initial``, or drawn and written there."""
    torch.manual_seed(plan.training.seed)
    tuned = tuner.attach(model, plan.method)
    trainable = {name: p for name, p in tuned.named_parameters() if p.requires_grad}
    if not trainable:
        raise RunError(f"method {plan.method.name} trains nothing in this model")
    from safetensors.torch import load_file, save_file

    if initial.is_file():
        known = load_file(initial)
        if known.keys() != trainable.keys():
            raise RunError(f"the initial weights in {initial} are of another adapter")
        with torch.no_grad():
            for name, parameter in trainable.items():
                parameter.copy_(known[name])
    else:
        initial.parent.mkdir(parents=True, exist_ok=True)
        save_file({name: p.detach().cpu().contiguous() for name, p in trainable.items()}, initial)
    return tuned


def check_adapted(plan: Plan, adapted: dict[str, int], present: dict[str, int]) -> None:
    """Every layer of every target must be adapted."""
    for target in plan.method.target_modules:
        if adapted.get(target, 0) != present.get(target, 0) or not adapted.get(target):
            share = f"{adapted.get(target, 0)} of {present.get(target, 0)}"
            raise RunError(f"{share} '{target}' layers are adapted, and the plan says all")


def load_adapted(plan: Plan, folder: Path, device: str, initial: Path, patches: Patches, tuner: Tuner) -> LoadedModel:
    """Base, then patches of stage ``model``, then the adapter, then patches of stage ``adapter``."""
    patches.enter("load")
    base, quantized = load_base(plan, folder, device)
    base.name_or_path = base.config._name_or_path = plan.model.name  # PEFT writes it down; a path is nobody's business
    patches.enter("model", base)
    linear = linear_layers(base)
    present: dict[str, int] = {}
    for name, _ in base.named_modules():
        last = name.rpartition(".")[2]
        present[last] = present.get(last, 0) + 1
    attention = base.config._attn_implementation
    tuned = attach(plan, base, initial, tuner)
    adapted = tuner.adapted(tuned)
    if plan.method.keeps == "adapter":
        check_adapted(plan, adapted, present)
    patches.enter("adapter", tuned)
    return LoadedModel(
        model=tuned, linear_layers=linear, quantized_layers=quantized, adapted=adapted, attention=attention
    )
