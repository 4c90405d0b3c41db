"""Loading a base as it was asked, and counting what came of it."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from transformers import AutoConfig, AutoModelForCausalLM, GenerationConfig

from graftlm.contracts.errors import ModelError, RunError
from graftlm.contracts.load import LoadPlan
from graftlm.contracts.services import LoadContext, Quantizer
from graftlm.contracts.specs import Quantization
from graftlm_registry.plugins import registry

from . import rope
from .plain_linear import plain_linear
from .targets import resolve_target

DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


@dataclass(frozen=True, slots=True)
class Base:
    """A loaded base. ``linear`` are its linear layers, by path, the head left out; ``quantized`` those modules that are
    quantized, with the weights that each stands for. ``parameters`` counts all of its weights, quantized ones as what
    they stand for; ``dtype`` is that of most of the others that are matrices.
    """

    model: Any
    linear: tuple[str, ...]
    quantized: Mapping[str, int]
    parameters: int
    dtype: str

    @property
    def share(self) -> float:
        """Of all weights, the quantized ones."""
        return sum(self.quantized.values()) / self.parameters


def load_base(load: LoadPlan, folder: Path, device: str) -> Base:
    """Raises ``ModelError`` where the files cannot be read, ``RunError`` where something else than ``load`` came."""
    quantizer = quantizer_of(load)
    context = LoadContext(load=load, folder=folder, device=device)
    arguments = quantizer.load_arguments(context)
    if device == "cuda":  # at once: a machine may have less memory than its GPU
        arguments.setdefault("device_map", {"": device})
    with plain_linear(load.linear_classes):
        model = from_files(load, folder, **arguments)
    if not arguments:  # a quantizer places the weights itself
        model.to(device)
    for parameter in model.parameters():
        parameter.requires_grad_(False)
    model = quantizer.prepare(model, context)
    linear, quantized = linear_layers(model), quantizer.quantized(model)
    check_quantized(load, linear, quantized)
    rope.check(model, load.rope)
    rope.forget_longer_texts(model)
    # PEFT writes the name down, and a path is nobody's business
    model.name_or_path = model.config._name_or_path = load.name
    return Base(model, linear, quantized, parameters_of(model, quantized), _dtype(model, quantized))


def quantizer_of(load: LoadPlan) -> Quantizer:
    quantizer: Quantizer = resolve_target(registry().get(Quantization, load.quantization).target)()
    return quantizer


def from_files(load: LoadPlan, folder: Path, **arguments: Any) -> Any:
    """A model from its safetensors, every tensor of it; ``ModelError`` where they cannot be read or do not fit."""
    try:
        config = AutoConfig.from_pretrained(folder, trust_remote_code=load.trust_remote_code, local_files_only=True)
        _refuse_stored_quantized(load, config)
        if load.rope is not None:
            rope.scale(config, load.rope)
        model, loaded = AutoModelForCausalLM.from_pretrained(
            folder,
            config=config,
            dtype=DTYPES[load.dtype],
            attn_implementation=load.attention,
            local_files_only=True,
            trust_remote_code=load.trust_remote_code,  # said in any case: transformers asks on stdin otherwise
            use_safetensors=True,
            output_loading_info=True,
            **arguments,
        )
    except (OSError, ValueError, RuntimeError, ImportError, SafetensorError) as error:
        first = next(iter(str(error).splitlines()), type(error).__name__)
        raise ModelError(f"{load.name} cannot be loaded from {folder}: {first}") from error
    lacking = [*loaded["missing_keys"], *loaded["mismatched_keys"]]
    if lacking:  # transformers draws random numbers for these, and goes on
        raise ModelError(f"{folder} lacks weights of {load.name}: {len(lacking)} tensors, the first {lacking[0]}")
    unread = _beyond(loaded["unexpected_keys"], model.config)
    if unread:
        raise ModelError(
            f"{folder} has more layers than its config.json says: {len(unread)} tensors, the first {unread[0]}"
        )
    model.generation_config = GenerationConfig()  # a file's beams or penalties would make "greedy" something else
    ran = model.config._attn_implementation
    if ran != load.attention:
        raise RunError(f"the plan says {load.attention} attention, and {ran} was loaded")
    return model


def _refuse_stored_quantized(load: LoadPlan, config: Any) -> None:
    """transformers would load it quantized, whatever it is asked."""
    if getattr(config, "quantization_config", None):
        raise ModelError(f"the weights of {load.name} are stored quantized: take the model that they were made from")


def _beyond(names: Iterable[str], config: Any) -> list[str]:
    """Tensors of layers that the configuration does not count, which nobody would miss."""
    layers = getattr(config, "num_hidden_layers", None)
    numbers = ((name, re.search(r"(?:^|\.)(?:layers|h)\.(\d+)\.", name)) for name in names)
    return sorted(name for name, found in numbers if found and layers and int(found[1]) >= layers)


def linear_layers(model: Any) -> tuple[str, ...]:
    """Paths of the linear layers, the output head left out."""
    head = model.get_output_embeddings()
    return tuple(n for n, m in model.named_modules() if isinstance(m, torch.nn.Linear) and m is not head)


def check_quantized(load: LoadPlan, linear: tuple[str, ...], quantized: Mapping[str, int]) -> None:
    """``RunError`` where the quantized layers are not all, or any where none was asked for."""
    asked = bool(registry().get(Quantization, load.quantization).bits)
    missed = [name for name in linear if name not in quantized] if asked else []
    if missed or (quantized and not asked) or (asked and not quantized):
        first = f", the first that is not {missed[0]}" if missed else ""
        raise RunError(
            f"the plan says quantization {load.quantization}, and {len(quantized)} of {len(linear)} linear layers are "
            f"quantized{first}"
        )


def _rest(model: Any, quantized: Mapping[str, int]) -> list[tuple[str, torch.Tensor]]:
    """The parameters that are not quantized."""
    stored = {f"{name}.weight" for name in quantized}
    return [(name, p) for name, p in model.named_parameters() if name not in stored]


def parameters_of(
    model: Any, quantized: Mapping[str, int], counts: Callable[[Any], bool] = lambda parameter: True
) -> int:
    """Scalars of the parameters that count, quantized ones as what they stand for."""
    return sum(p.numel() for _, p in _rest(model, quantized) if counts(p)) + sum(quantized.values())


def _dtype(model: Any, quantized: Mapping[str, int]) -> str:
    counts: Counter[torch.dtype] = Counter()
    for _, parameter in _rest(model, quantized):
        if parameter.dim() > 1:
            counts[parameter.dtype] += parameter.numel()
    most = counts.most_common(1)[0][0]
    return next((name for name, dtype in DTYPES.items() if dtype == most), str(most))
