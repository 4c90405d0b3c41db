"""``gemma``: Google's Gemma, Gemma 2 and Gemma 3 as text models, and the template of their instruct models."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from graftlm.api import (
    Conversation,
    DataError,
    FamilyFacts,
    LinearShape,
    ModelDescription,
    ModelError,
    ModelFamily,
    ModelShape,
    PromptTemplate,
    RenderOptions,
    Span,
    answer,
    content,
    control,
    hookimpl,
    read_chat_templates,
    text,
)  # fmt: skip

ATTENTION = ("q_proj", "k_proj", "v_proj", "o_proj")
MLP = ("gate_proj", "up_proj", "down_proj")
NORMS = ("input_layernorm", "post_attention_layernorm")
MORE_NORMS = (*NORMS, "pre_feedforward_layernorm", "post_feedforward_layernorm")
IMPLEMENTATIONS = ("eager", "sdpa", "flash_attention_2", "flash_attention_3", "flex_attention")
COMMON: Mapping[str, Any] = {"head_dim": 256, "tie_word_embeddings": True, "attention_bias": False}
SECOND: Mapping[str, Any] = {
    **COMMON, "vocab_size": 256000, "hidden_size": 2304, "intermediate_size": 9216, "num_hidden_layers": 26,
    "num_attention_heads": 8, "num_key_value_heads": 4, "max_position_embeddings": 8192,
}  # fmt: skip
DEFAULTS: Mapping[str, Mapping[str, Any]] = {
    "gemma": {
        **COMMON, "vocab_size": 256000, "hidden_size": 3072, "intermediate_size": 24576, "num_hidden_layers": 28,
        "num_attention_heads": 16, "num_key_value_heads": 16, "max_position_embeddings": 8192,
    },
    "gemma2": SECOND,
    "gemma3_text": {**SECOND, "vocab_size": 262208, "max_position_embeddings": 131072},
}  # fmt: skip
BOS, EOS, START, END = "<bos>", "<eos>", "<start_of_turn>", "<end_of_turn>"
SPOKEN = {"user": "user\n", "assistant": "model\n"}


def facts(config: Mapping[str, Any]) -> FamilyFacts:
    """Of a ``config.json``, as a dict."""
    if config.get("use_bidirectional_attention"):
        raise ModelError("this Gemma attends both ways (use_bidirectional_attention): it embeds texts and writes none")
    kind = config["model_type"]
    # Gemma 2 caps attention's scores, which sdpa cannot; transformers refuses it, with a cap or without.
    implementations = tuple(name for name in IMPLEMENTATIONS if kind != "gemma2" or name != "sdpa")
    norms = (*(NORMS if kind == "gemma" else MORE_NORMS), *_head_norms(kind))
    layer = (*(f"self_attn.{name}" for name in ATTENTION), *(f"mlp.{name}" for name in MLP), *norms)
    third = kind == "gemma3_text"
    return FamilyFacts(
        attention=ATTENTION,
        mlp=MLP,
        default_targets=ATTENTION + MLP,
        attention_implementations=implementations,
        packing=implementations,
        rope=() if third else ("linear", "dynamic", "yarn"),
        no_rope="has two RoPEs, one within its windows and one beyond, and one factor cannot fit both" if third else "",
        modules=("model.embed_tokens", *(f"model.layers.*.{name}" for name in layer), "model.norm", "lm_head"),
        shape=shape({**DEFAULTS[kind], **config}),
    )


def shape(config: Mapping[str, Any]) -> ModelShape:
    """The sizes: by them a plan reckons memory before anything is loaded."""
    kind, hidden, width = config["model_type"], config["hidden_size"], config["intermediate_size"]
    heads, kv_heads, head_dim = config["num_attention_heads"], config["num_key_value_heads"], config["head_dim"]
    layers = config["num_hidden_layers"]
    queries, keys = heads * head_dim, kv_heads * head_dim
    sides = {
        "q_proj": (hidden, queries), "k_proj": (hidden, keys), "v_proj": (hidden, keys), "o_proj": (queries, hidden),
        "gate_proj": (hidden, width), "up_proj": (hidden, width), "down_proj": (width, hidden),
    }  # fmt: skip
    wide = len(NORMS if kind == "gemma" else MORE_NORMS)
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
            LinearShape(
                name=name, inputs=inputs, outputs=outputs, count=layers,
                bias=name in ATTENTION and config["attention_bias"],
            )
            for name, (inputs, outputs) in sides.items()
        ),
        tied=config["tie_word_embeddings"],
        other=layers * (wide * hidden + len(_head_norms(kind)) * head_dim) + hidden,  # the norms' weights
    )  # fmt: skip


def _head_norms(kind: str) -> tuple[str, ...]:
    return ("self_attn.q_norm", "self_attn.k_norm") if kind == "gemma3_text" else ()


def template(model: ModelDescription) -> str:
    """By the model's own Jinja; a base model has none, though its tokenizer knows the tokens of turns."""
    own = read_chat_templates(model.folder).get("default", "")
    return "gemma" if START in own else "model" if own else "alpaca"


def render(conversation: Conversation, options: RenderOptions) -> Sequence[Span]:
    """``<bos><start_of_turn>user\\nS\\n\\nU<end_of_turn>\\n<start_of_turn>model\\nA<end_of_turn>\\n``: Gemma knows no
    system turn, so that system words stand before the first user's. As in the models' own template, turns are trimmed.
    """
    spans, system = [control(BOS)], ""
    for message in conversation.messages:
        if message.role == "system":
            system += f"{message.content}\n\n"
            continue
        if system and message.role != "user":
            raise DataError("Gemma has no system turn: a user's turn must follow the system's words")
        spans += [control(START), text(SPOKEN[message.role])]
        said = message.content.strip()
        if message.role == "assistant":
            spans += answer(replace(message, content=said), end=END)
        else:
            spans += [content(system + said), control(END)]
        spans.append(text("\n"))
        system = ""
    if options.generation_prompt:
        spans += [control(START), text(SPOKEN["assistant"])]
    return spans


@hookimpl
def graftlm_model_families() -> Iterable[ModelFamily]:
    yield ModelFamily(
        name="gemma",
        summary="Gemma, Gemma 2 and Gemma 3, text alone",
        model_types=tuple(DEFAULTS),
        facts=facts,
        template=template,
        suite="graftlm_gemma.conformance:GemmaSuite",
    )


@hookimpl
def graftlm_prompt_templates() -> Iterable[PromptTemplate]:
    yield PromptTemplate(
        name="gemma",
        summary="Gemma Instruct: <start_of_turn>user and model, system words in the first user turn",
        render=render,
        control_tokens=(BOS, START, END),
        end_token=END,
        stop_tokens=(END, EOS),
        document_start=(BOS,),
        document_end=EOS,
        suite="graftlm_gemma.conformance:GemmaTemplateSuite",
    )
