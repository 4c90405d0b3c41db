"""A tuning method on a tiny model, as the worker uses it: attach, train, save, and apply to a fresh base."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import nullcontext
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForCausalLM, PreTrainedModel

from graftlm.contracts.model import FamilyFacts, LinearShape, ModelShape
from graftlm.contracts.plan import MethodPlan
from graftlm.contracts.specs import ModelFamily, TuningMethod
from graftlm.planning.plugin_options import convert
from graftlm_plugins.methods import lora, overlay, peft_methods
from graftlm_registry.models import catalogue
from graftlm_registry.plugins import registry

Base = Callable[[], PreTrainedModel]
ALL_LINEAR = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")
SMALL: dict[str, dict[str, Any]] = {  # what a model of 128 dimensions needs
    "c3a": {"block_size": 32},
    "fourierft": {"n_frequency": 50},
    "trainable_tokens": {"token_indices": (5, 6, 30)},
    "unilora": {"theta_d_length": 64},
    "vblora": {"vector_length": 32, "num_vectors": 16},
    "waveft": {"n_frequency": 50},
}
IDS = torch.tensor([[5, 6, 7, 8, 9, 10, 11, 12], [30, 31, 32, 33, 34, 35, 36, 37]])


@cache
def specs() -> Mapping[str, TuningMethod]:
    modules = (lora, overlay, peft_methods)
    return {spec.name: spec for module in modules for spec in module.graftlm_tuning_methods()}


def plan(name: str, *, rank: int = 4, alpha: float = 8, dropout: float = 0.0, **given: Any) -> MethodPlan:
    """What the method is told; options that are not given have their defaults."""
    spec = specs()[name]
    targets, parent = given.pop("targets", ALL_LINEAR[:4]), given.pop("parent", "")
    has: dict[str, Any] = {"rank": rank, "alpha": alpha, "dropout": dropout}
    options = {o.name: convert(o.name, given.pop(o.name, o.default), o) for o in spec.options}
    assert not given, given
    return MethodPlan(
        name=name,
        keeps=spec.keeps,
        target_modules=targets if "target_modules" in spec.settings else (),
        options=options,
        parent=parent,
        **{setting: value for setting, value in has.items() if setting in spec.settings},
    )


def facts(model: str = "tiny-mistral") -> FamilyFacts:
    """Of a model of the catalogue."""
    config = catalogue().entry(model).config
    return next(f for f in registry().all(ModelFamily) if config["model_type"] in f.model_types).facts(config)


def against(name: str, *, of: FamilyFacts | None = None, **given: Any) -> str:
    """What the plan says against the method's settings and options, for tiny-mistral where nothing else is said."""
    check = specs()[name].check
    assert check is not None
    return " ".join(check(plan(name, **given), of or facts()))


def tuner(name: str) -> Any:
    module, _, attribute = specs()[name].target.partition(":")
    return getattr(import_module(module), attribute)()


def mistral(dtype: torch.dtype = torch.float32, **more: Any) -> PreTrainedModel:
    """The built-in tiny-mistral: 4 layers, hidden 128, tied embeddings."""
    folder = catalogue().entry("tiny-mistral").folder
    model: PreTrainedModel = AutoModelForCausalLM.from_pretrained(folder, dtype=dtype, **more)
    return model.eval()


MISTRAL = ModelShape(
    hidden=128,
    layers=4,
    vocabulary=704,
    context=1024,
    heads=4,
    kv_heads=2,
    head_dim=32,
    intermediate=320,
    linear=(
        LinearShape(name="q_proj", inputs=128, outputs=128, count=4),
        LinearShape(name="k_proj", inputs=128, outputs=64, count=4),
        LinearShape(name="v_proj", inputs=128, outputs=64, count=4),
        LinearShape(name="o_proj", inputs=128, outputs=128, count=4),
        LinearShape(name="gate_proj", inputs=128, outputs=320, count=4),
        LinearShape(name="up_proj", inputs=128, outputs=320, count=4),
        LinearShape(name="down_proj", inputs=320, outputs=128, count=4),
    ),
    tied=True,
    other=9 * 128,
)


def drawn(config: Any) -> PreTrainedModel:
    """A model with random weights, the same each time, biases among them."""
    torch.manual_seed(0)
    model: PreTrainedModel = AutoModelForCausalLM.from_config(config)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name.endswith("bias"):
                parameter.normal_(0, 0.1)
    return model.eval()


def qwen2() -> PreTrainedModel:
    """Two layers with biases on q, k and v; an untied head."""
    from transformers import Qwen2Config

    return drawn(
        Qwen2Config(
            vocab_size=64,
            hidden_size=32,
            intermediate_size=64,
            num_hidden_layers=2,
            num_attention_heads=4,
            num_key_value_heads=2,
            tie_word_embeddings=False,
        )
    )


def qwen3_moe() -> PreTrainedModel:
    """Two layers with fused experts."""
    from transformers import Qwen3MoeConfig

    return drawn(
        Qwen3MoeConfig(
            vocab_size=64,
            hidden_size=32,
            intermediate_size=64,
            moe_intermediate_size=16,
            num_hidden_layers=2,
            num_attention_heads=4,
            num_key_value_heads=2,
            num_experts=4,
            num_experts_per_tok=2,
            head_dim=8,
        )
    )


def logits(model: Any, ids: torch.Tensor = IDS) -> torch.Tensor:
    """``float32[samples, tokens, vocabulary]``"""
    model.eval()
    with torch.inference_mode():
        found: torch.Tensor = model(input_ids=ids, use_cache=False).logits.float()
    return found


def trained_count(model: Any) -> int:
    return sum(p.numel() for p in model.parameters() if p.requires_grad)


def train(model: Any, steps: int = 3, rate: float = 1e-2, autocast: torch.dtype | None = None) -> list[float]:
    """A few steps of AdamW on one batch; the losses."""
    model.train()
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=rate, weight_decay=0.0)
    losses = []
    for _ in range(steps):
        with torch.autocast("cpu", autocast) if autocast else nullcontext():
            loss = model(input_ids=IDS, labels=IDS, use_cache=False).loss
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        losses.append(float(loss.detach()))
    return losses


def round_trip(
    name: str, base: Base, folder: Path, *, autocast: torch.dtype | None = None, rate: float = 1e-2, **given: Any
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Logits of the base, of what was trained, and of a fresh base with what was saved."""
    torch.manual_seed(1)
    method, own = plan(name, **given), tuner(name)
    model = own.attach(base(), method, None)
    losses = train(model, autocast=autocast, rate=rate)
    if name != "pvera":  # which trains on what it draws: its losses go up and down
        assert losses[-1] < losses[0]
    own.save(model, folder)
    tuned = logits(model)
    del model
    torch.manual_seed(2)
    return logits(base()), tuned, logits(tuner(name).apply(base(), folder))
