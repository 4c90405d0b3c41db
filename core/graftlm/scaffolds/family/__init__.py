"""``acme``: StarCoder2's architecture."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from graftlm.api import FamilyFacts, LinearShape, ModelDescription, ModelFamily, ModelShape, hookimpl

ATTENTION = ("q_proj", "k_proj", "v_proj", "o_proj")
MLP = ("c_fc", "c_proj")
LAYER = (*(f"self_attn.{name}" for name in ATTENTION), *(f"mlp.{name}" for name in MLP))
NORMS = ("input_layernorm", "post_attention_layernorm")
DEFAULTS: Mapping[str, Any] = {
    "vocab_size": 49152,
    "hidden_size": 3072,
    "intermediate_size": 12288,
    "num_hidden_layers": 30,
    "num_attention_heads": 24,
    "num_key_value_heads": 2,
    "max_position_embeddings": 4096,
    "use_bias": True,
    "tie_word_embeddings": True,
}
"""What transformers takes where a config.json does not say: see the configuration's class there."""
DROPOUTS = ("attention_dropout", "residual_dropout", "embedding_dropout")


def facts(config: Mapping[str, Any]) -> FamilyFacts:
    """What holds for a model with this ``config.json``. Everything that graftlm does with it follows from these facts,
    and the suite holds them against a tiny model of the architecture.
    """
    dropped = [name for name in DROPOUTS if config.get(name)]
    return FamilyFacts(
        # The linear layers by role, by the last part of their path: those that adapters may go on.
        attention=ATTENTION,
        mlp=MLP,
        default_targets=ATTENTION + MLP,
        # Implementations of attention that transformers has for it, and those under which several samples in one row,
        # with positions that begin again, give exactly what each gives alone.
        attention_implementations=("eager", "sdpa", "flash_attention_2", "flex_attention"),
        packing=("eager", "sdpa", "flash_attention_2", "flex_attention"),
        # Kinds of RoPE scaling that it honours.
        rope=("linear", "dynamic", "yarn"),
        # Optional: by it plans estimate memory, and accelerators know what they deal with.
        shape=shape({**DEFAULTS, **config}),
        # Optional: by it plans find a misspelt module. Layers' numbers are '*'.
        modules=("model.embed_tokens", *(f"model.layers.*.{n}" for n in (*LAYER, *NORMS)), "model.norm", "lm_head"),
        # Sentences that a plan shows.
        notes=(f"the base drops activations while it is trained ({', '.join(dropped)})",) if dropped else (),
    )


def shape(config: Mapping[str, Any]) -> ModelShape:
    """Sizes as the configuration gives them; counts are of the whole model."""
    hidden, width, layers = config["hidden_size"], config["intermediate_size"], config["num_hidden_layers"]
    heads, kv_heads, bias = config["num_attention_heads"], config["num_key_value_heads"], config["use_bias"]
    head_dim = hidden // heads
    sides = {
        "q_proj": (hidden, hidden),
        "k_proj": (hidden, kv_heads * head_dim),
        "v_proj": (hidden, kv_heads * head_dim),
        "o_proj": (hidden, hidden),
        "c_fc": (hidden, width),
        "c_proj": (width, hidden),
    }
    return ModelShape(
        hidden=hidden,
        layers=layers,
        vocabulary=config["vocab_size"],
        context=config["max_position_embeddings"],
        heads=heads,
        kv_heads=kv_heads,
        head_dim=head_dim,
        intermediate=width,
        linear=tuple(
            LinearShape(name=name, inputs=inputs, outputs=outputs, count=layers, bias=bias)
            for name, (inputs, outputs) in sides.items()
        ),
        tied=config["tie_word_embeddings"],
        other=2 * hidden * (len(NORMS) * layers + 1),  # norms, each with weight and bias
    )


def template(model: ModelDescription) -> str:
    """The prompt template of a model: here, one that needs no tokens of its own, as these are base models."""
    return "alpaca"


@hookimpl
def graftlm_model_families() -> Iterable[ModelFamily]:
    yield ModelFamily(
        name="acme",
        summary="StarCoder2",
        model_types=("starcoder2",),
        facts=facts,
        template=template,
        suite="graftlm_acme.conformance:AcmeSuite",
    )
