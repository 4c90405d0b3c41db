"""What was loaded, measured: the Outcome's ``Effective``, compared with the plan."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch

from graftlm.contracts.errors import RunError
from graftlm.contracts.outcome import Effective
from graftlm.contracts.plan import MethodPlan, Plan
from graftlm.contracts.services import Tuner
from graftlm.contracts.versions import versions

from . import rope
from .load import DTYPES, Base, check_quantized, linear_layers, parameters_of, quantizer_of
from .patched import patched


@dataclass(frozen=True, slots=True)
class Loaded:
    """What is known of the base under an adapter. ``parameters`` counts its own, quantized ones as what they stand for;
    ``dtype`` is the precision that is computed in, ``digest`` that of the weights before an adapter came, or empty.
    """

    linear: int
    quantized: int
    share: float
    parameters: int
    dtype: str
    attention: str
    rope: Mapping[str, Any]
    digest: str = ""


def loaded_base(base: Base, digest: str) -> Loaded:
    """Of a bare base that was just loaded."""
    return Loaded(
        linear=len(base.linear),
        quantized=len(base.quantized),
        share=base.share,
        parameters=base.parameters,
        dtype=base.dtype,
        attention=base.model.config._attn_implementation,
        rope=rope.rope_of(base.model),
        digest=digest,
    )


def loaded_by_a_backend(model: Any, plan: Plan, *, as_is: bool = False) -> Loaded:
    """Of a PEFT model that a backend loaded itself; ``RunError`` where its base is not the plan's, unless what it does
    is to be measured ``as_is``.
    """
    base = model.get_base_model() if hasattr(model, "get_base_model") else model
    quantized = quantizer_of(plan.load).quantized(base)
    linear = tuple(name for name in linear_layers(base) if ".lora_" not in name)
    if not as_is:
        check_quantized(plan.load, linear, quantized)
        rope.check(base, plan.load.rope)
        rope.forget_longer_texts(base)
        _check_settings(model, plan.method)
    for config in getattr(model, "peft_config", {}).values():  # a path is nobody's business
        config.base_model_name_or_path = plan.load.name
    trained = {id(p) for p in model.parameters() if p.requires_grad} if plan.method.keeps == "adapter" else set()
    parameters = parameters_of(base, quantized, lambda p: id(p) not in trained)
    return Loaded(
        linear=len(linear),
        quantized=len(quantized),
        share=sum(quantized.values()) / parameters,
        parameters=parameters,
        dtype=_computed_in(model, plan),
        attention=base.config._attn_implementation,
        rope=rope.rope_of(base),
    )


def effective(
    model: Any, loaded: Loaded, plan: Plan, tuner: Tuner, loss: str, packing: bool, *, as_is: bool = False
) -> Effective:
    """``RunError`` where what was loaded is not the plan's, unless it is to be measured ``as_is``."""
    trainable = sum(p.numel() for p in model.parameters() if p.requires_grad)
    found = measured(
        model,
        loaded,
        tuner,
        trainable,
        beside=plan.method.keeps == "adapter",
        backend=plan.part("backend").name,
        packing=packing or plan.training.packing,
        loss=loss,
        batch_size=plan.training.batch_size,
        micro_batch=plan.training.micro_batch,
    )
    if as_is:
        return found
    wanted = {
        "device": plan.device,
        "attention": plan.attention,
        "dtype": plan.dtype,
        "gradient_checkpointing": plan.training.gradient_checkpointing,
    }
    for name, value in wanted.items():
        if getattr(found, name) != value:
            raise RunError(f"the plan says {name.replace('_', ' ')} {value}, and {getattr(found, name)} was loaded")
    return found


def measured(
    model: Any,
    loaded: Loaded,
    tuner: Tuner,
    parameters: int,
    *,
    beside: bool = True,
    backend: str = "",
    packing: bool = False,
    loss: str = "",
    batch_size: int = 0,
    micro_batch: int = 0,
) -> Effective:
    """Of any base with an adapter: ``parameters`` are the adapter's own, which lie ``beside`` those of the base. What
    only a training has is empty.
    """
    adapted = tuner.adapted(model)
    return Effective(
        device=next(model.parameters()).device.type,
        dtype=loaded.dtype,
        attention=loaded.attention,
        backend=backend,
        linear_layers=loaded.linear,
        quantized_layers=loaded.quantized,
        adapted_layers=sum(adapted.values()),
        adapted_modules=dict(sorted(adapted.items())),
        trainable_parameters=parameters,
        total_parameters=loaded.parameters + (parameters if beside else 0),
        packing=packing,
        loss=loss,
        batch_size=batch_size,
        micro_batch=micro_batch,
        versions=versions(),
        quantized_share=loaded.share,
        rope=loaded.rope,
        gradient_checkpointing=_checkpointed(model),
        patched=patched(model),
    )


def _checkpointed(model: Any) -> bool:
    return bool(getattr(model, "is_gradient_checkpointing", False))


def still(model: Any, plan: Plan) -> None:
    """``RunError`` where a backend changed how the model computes after it was measured."""
    base = model.get_base_model() if hasattr(model, "get_base_model") else model
    for what, found, wanted in (
        ("attention", base.config._attn_implementation, plan.attention),
        ("dtype", _computed_in(model, plan), plan.dtype),
        ("gradient checkpointing", _checkpointed(model), plan.training.gradient_checkpointing),
    ):
        if found != wanted:
            raise RunError(f"the plan says {what} {wanted}, and the backend changed it to {found} after loading")


def _check_settings(model: Any, method: MethodPlan) -> None:
    """``RunError`` where a backend's adapter has other settings than the plan's, which no reload would show."""
    wanted = {"r": method.rank, "lora_alpha": method.alpha, "lora_dropout": method.dropout}
    wanted |= {name: method.options[name] for name in ("use_rslora", "use_dora", "bias") if name in method.options}
    for config in getattr(model, "peft_config", {}).values():
        for name, value in wanted.items():
            found = getattr(config, name, value)
            if value is not None and found != value:
                raise RunError(f"the plan says {name} {_word(value)}, and the backend made an adapter with {found}")


def _word(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def _computed_in(model: Any, plan: Plan) -> str:
    """The precision of most weights that are neither trained (those are fp32) nor quantized; the plan's, where there
    are none.
    """
    counts: Counter[torch.dtype] = Counter()
    for parameter in model.parameters():
        if not parameter.requires_grad and parameter.is_floating_point() and parameter.dim() > 1:
            counts[parameter.dtype] += parameter.numel()
    names = {dtype: name for name, dtype in DTYPES.items()}
    return names.get(most := counts.most_common(1)[0][0], str(most)) if counts else plan.dtype


def place(model: Any, initial: Mapping[str, torch.Tensor], what: str = "the run's initial weights") -> None:
    """Put weights of the run into what is trained; ``RunError`` where they are of another adapter."""
    trainable = {name: p for name, p in model.named_parameters() if p.requires_grad}
    if initial.keys() != trainable.keys():
        other = sorted(initial.keys() ^ trainable.keys())
        raise RunError(
            f"{what} are of another adapter than the loaded one: {len(other)} tensors differ, the first {other[0]}"
        )
    for name, parameter in trainable.items():  # copying would spread and round what does not fit
        if (parameter.shape, parameter.dtype) != (initial[name].shape, initial[name].dtype):
            raise RunError(
                f"{name} is {parameter.dtype} {tuple(parameter.shape)} in the loaded adapter, and in {what} it is "
                f"{initial[name].dtype} {tuple(initial[name].shape)}"
            )
    with torch.no_grad():
        for name, parameter in trainable.items():
            parameter.copy_(initial[name])
