"""Situations that a predicate may be asked about."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from graftlm.contracts.model import FamilyFacts, ModelShape
from graftlm.contracts.situation import Device, Probe, Situation

GPU = Device(type="cuda", name="a GPU", memory=80 << 30, compute_capability=(9, 0))


def facts(experts: int = 0, **known: Any) -> FamilyFacts:
    """Of a model with a hundred parameters beside ``experts``."""
    shape = ModelShape(
        hidden=2, layers=1, vocabulary=10, context=8, heads=1, kv_heads=1, head_dim=2, intermediate=4, linear=(),
        tied=True, other=80, experts=experts,
    )  # fmt: skip
    return FamilyFacts(**{"attention": ("q_proj",), "mlp": ("up_proj",), "shape": shape, **known})


def situation(**fields: Any) -> Situation:
    """LoRA in fp32 on a CPU, but for ``fields``."""
    probe = Probe(python="3.11", versions={}, devices=(Device(type="cpu"),), dtypes=("fp32",))
    return Situation(**{"facts": facts(), "config": {}, "probe": probe, "device": "cpu", "dtype": "fp32", **fields})


def situations() -> Mapping[str, Situation]:
    """One of each kind that a plan may come to, by what is special about it."""
    gpu = Probe(python="3.12", versions={"torch": "2.11"}, devices=(Device(type="cpu"), GPU), dtypes=("fp32", "bf16"))
    return {
        "LoRA on a CPU": situation(),
        "bf16 on a GPU": situation(probe=gpu, device="cuda", dtype="bf16"),
        "fp16 on a GPU": situation(probe=gpu, device="cuda", dtype="fp16"),
        "a GPU that nobody knows": situation(device="cuda"),
        "Apple's GPU": situation(device="mps"),
        "a base in four bits": situation(quantization="nf4", quantization_bits=4.1, probe=gpu, device="cuda"),
        "a model with experts": situation(facts=facts(experts=400)),
        "a model of unknown shape": situation(facts=facts(shape=None)),
        "a model that nothing is known of": situation(facts=FamilyFacts(attention=(), mlp=())),
        "all weights trained": situation(method="full", method_keeps="overlay"),
        "dropout and label smoothing": situation(dropout=0.1, label_smoothing=0.1),
        "eager attention": situation(attention="eager"),
        "a base that is quantized already": situation(config={"quantization_config": {"quant_method": "gptq"}}),
        "code that comes with the model": situation(trust_remote_code=True),
    }
