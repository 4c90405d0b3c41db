"""What decoders of several families share: reading sizes, and adding layers up.

Sizes are read from a raw ``config.json`` as transformers reads it: a missing key has the default of its model type,
and null is what that type makes of it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from graftlm.api import LinearShape, ModelError, ModelShape

ATTENTION = ("q_proj", "k_proj", "v_proj", "o_proj")
MLP = ("gate_proj", "up_proj", "down_proj")
FUSED_ATTENTION = ("query_key_value", "dense")
FUSED_MLP = ("dense_h_to_4h", "dense_4h_to_h")
"""Of Falcon and ChatGLM."""
FLASH = ("flash_attention_2", "flash_attention_3")
PLAIN = ("eager", "sdpa", *FLASH)
EVERY = (*PLAIN, "flex_attention")
"""Attention implementations by transformers' names."""
ROPE = ("linear", "dynamic", "yarn")
LLAMA: Mapping[str, Any] = {
    "vocab_size": 32000, "hidden_size": 4096, "intermediate_size": 11008, "num_hidden_layers": 32,
    "num_attention_heads": 32, "num_key_value_heads": None, "head_dim": None, "max_position_embeddings": 2048,
    "tie_word_embeddings": False,
}  # fmt: skip
"""transformers' defaults for llama: those of the others are written as what differs."""


@dataclass(frozen=True, slots=True)
class Config:
    """A ``config.json`` and the defaults of its model type."""

    given: Mapping[str, Any]
    defaults: Mapping[str, Any]

    def number(self, name: str, alias: str = "", *, least: int = 1) -> int:
        """A whole number of at least ``least``, by its name or by another that means the same.

        Raises ``ModelError`` on anything else.
        """
        found = self.optional(name, alias, least=least)
        if found is None:
            raise ModelError(f"config.json says null for {name}, which must be a whole number")
        return found

    def optional(self, name: str, alias: str = "", *, least: int = 1) -> int | None:
        """As ``number``, where null has a meaning."""
        key = alias if alias and name not in self.given and alias in self.given else name
        value = self.given.get(key, self.defaults.get(name))
        if value is not None and (type(value) is not int or value < least):
            raise ModelError(f"config.json says {value!r} for {key}, which must be a whole number of at least {least}")
        return value

    def flag(self, name: str) -> bool:
        return bool(self.given.get(name, self.defaults.get(name)))

    def items(self, name: str) -> list[Any]:
        """A list; empty where there is none."""
        value = self.given.get(name)
        if value is not None and not isinstance(value, list):
            raise ModelError(f"config.json says {value!r} for {name}, which must be a list")
        return value or []


@dataclass(frozen=True, slots=True)
class Sizes:
    """The sizes that every decoder has."""

    hidden: int
    layers: int
    vocabulary: int
    context: int
    heads: int
    kv_heads: int
    head_dim: int
    intermediate: int
    tied: bool

    def attention(self, layers: int, *, bias: bool = False, out_bias: bool = False, gated: bool = False) -> Layers:
        """Projections of ``layers`` layers; ``gated``: the queries come with a gate of their own size."""
        wide, narrow = self.heads * self.head_dim, self.kv_heads * self.head_dim
        return (
            LinearShape(name="q_proj", inputs=self.hidden, outputs=wide * (2 if gated else 1), count=layers, bias=bias),
            LinearShape(name="k_proj", inputs=self.hidden, outputs=narrow, count=layers, bias=bias),
            LinearShape(name="v_proj", inputs=self.hidden, outputs=narrow, count=layers, bias=bias),
            LinearShape(name="o_proj", inputs=wide, outputs=self.hidden, count=layers, bias=out_bias),
        )

    def mlp(self, layers: int, width: int, *, bias: bool = False) -> Layers:
        """A gated MLP in ``layers`` layers."""
        return (
            LinearShape(name="gate_proj", inputs=self.hidden, outputs=width, count=layers, bias=bias),
            LinearShape(name="up_proj", inputs=self.hidden, outputs=width, count=layers, bias=bias),
            LinearShape(name="down_proj", inputs=width, outputs=self.hidden, count=layers, bias=bias),
        )

    def fused(self, *, gated: bool = False, bias: bool = False, qkv_bias: bool = False) -> Layers:
        """All linear layers where queries, keys and values come from one; ``gated``: the MLP's first two too."""
        hidden, width, attended = self.hidden, self.intermediate, self.heads * self.head_dim
        projected = attended + 2 * self.kv_heads * self.head_dim
        sides = ((hidden, projected), (attended, hidden), (hidden, width * (2 if gated else 1)), (width, hidden))
        return tuple(
            LinearShape(name=name, inputs=inputs, outputs=outputs, count=self.layers, bias=biased)
            for name, (inputs, outputs), biased in zip(
                (*FUSED_ATTENTION, *FUSED_MLP), sides, (qkv_bias, bias, bias, bias), strict=True
            )
        )

    def norms(self, per_layer: int = 2) -> int:
        """Parameters of the RMS norms, with the one at the end."""
        return self.hidden * (per_layer * self.layers + 1)

    def shape(self, linear: Iterable[LinearShape], other: int) -> ModelShape:
        """A dense model."""
        return self._shape(linear, other=other, intermediate=self.intermediate)

    def moe_shape(self, linear: Iterable[LinearShape], other: int, experts: Experts) -> ModelShape:
        """A mixture of experts. Its ``intermediate`` is the widest MLP that one token meets."""
        of_one = experts.layers * 3 * self.hidden * experts.width
        met = experts.per_token * experts.width + experts.shared
        return self._shape(
            linear,
            other=other + experts.layers * experts.count * self.hidden,  # the routers
            intermediate=met if experts.layers == self.layers else max(met, self.intermediate),
            experts=experts.count * of_one,
            active_experts=min(experts.per_token, experts.count) * of_one,
        )

    def _shape(self, linear: Iterable[LinearShape], **rest: int) -> ModelShape:
        return ModelShape(
            hidden=self.hidden,
            layers=self.layers,
            vocabulary=self.vocabulary,
            context=self.context,
            heads=self.heads,
            kv_heads=self.kv_heads,
            head_dim=self.head_dim,
            tied=self.tied,
            linear=tuple(layer for layer in linear if layer.count),
            **rest,
        )


Layers = tuple[LinearShape, ...]


@dataclass(frozen=True, slots=True)
class Experts:
    """``layers`` have ``count`` experts of ``width``, of which a token meets ``per_token``, and one that all meet, of
    width ``shared`` (0 where there is none).
    """

    layers: int
    count: int
    per_token: int
    width: int
    shared: int = 0


def sizes(config: Config) -> Sizes:
    """Of a configuration that names them as Llama's does. Raises ``ModelError`` on a size that is none."""
    hidden, heads = config.number("hidden_size"), config.number("num_attention_heads")
    return Sizes(
        hidden=hidden,
        layers=config.number("num_hidden_layers"),
        vocabulary=config.number("vocab_size"),
        context=config.number("max_position_embeddings"),
        heads=heads,
        kv_heads=config.optional("num_key_value_heads") or heads,
        head_dim=config.optional("head_dim") or hidden // heads,
        intermediate=config.number("intermediate_size"),
        tied=config.flag("tie_word_embeddings"),
    )


def fused_experts(rewritten: bool) -> str:
    """Why no adapter takes the MLP of a mixture of experts; ``rewritten``: PEFT takes its names for the experts."""
    if rewritten:
        return "PEFT would adapt the fused experts instead of the layers of this name: choose attention layers"
    return "the experts are fused into tensors, which are no linear layers: choose attention layers"


LAYERWISE = "its kinds of layers have RoPE settings of their own"


def layerwise_rope(config: Mapping[str, Any]) -> bool:
    """Whether there is one RoPE setting for each kind of layer, in place of one for all."""
    found = config.get("rope_parameters") or config.get("rope_scaling")
    return isinstance(found, Mapping) and any(isinstance(value, Mapping) for value in found.values())


def rope_of(config: Mapping[str, Any]) -> dict[str, Any]:
    """The facts about RoPE of an architecture that honours every kind."""
    return {"rope": (), "no_rope": LAYERWISE} if layerwise_rope(config) else {"rope": ROPE}
