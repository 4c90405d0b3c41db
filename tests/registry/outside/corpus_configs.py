"""Hostile configurations."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from good_adapter import EVIL, GOOD, Case, write

BOMB = r"(?:a|a?)+(?:(?:x*)*)*(?:.*.*.*.*.*.*.*.*)*z"


def said(name: str, says: str, **changes: Any) -> Case:
    """A sound configuration but for some keys."""
    return Case(name, lambda folder: write(folder, config=dict(GOOD) | changes), says)


def raw(name: str, config: bytes | Callable[[], bytes], says: str) -> Case:
    return Case(name, lambda folder: write(folder, config=config if isinstance(config, bytes) else config()), says)


def text(more: str) -> bytes:
    """A sound configuration with more in it, as it is written."""
    return (json.dumps(dict(GOOD))[:-1] + "," + more + "}").encode()


def without(key: str) -> bytes:
    return json.dumps({name: value for name, value in GOOD.items() if name != key}).encode()


def template(name: str, file: str, content: bytes, says: str) -> Case:
    """A file beside the adapter."""

    def build(folder: Path) -> Path:
        made = write(folder)
        (made / file).write_bytes(content)
        return made

    return Case(name, build, says)


CASES = [
    raw("an empty configuration", b"", "not valid JSON"),
    raw("half a configuration", b'{"peft_type": "LORA"', "not valid JSON"),
    raw("a list for a configuration", b"[]", "JSON object"),
    raw("latin-1", b'{"peft_type": "\xe9"}', "UTF-8"),
    raw("a configuration in UTF-16", json.dumps(dict(GOOD)).encode("utf-16"), "UTF-8"),
    raw("half a character in a value", text('"revision": "\\ud800"'), "UTF-8"),
    raw("5 MiB", lambda: b" " * (5 << 20), "reads 4,194,304"),
    raw("a million open lists", lambda: b"[" * 1_000_000, "nested"),
    raw("a million open objects", lambda: b'{"a":' * 800_000, "nested"),
    raw("4 MiB of empty lists", lambda: text('"x": [' + "[]," * 1_390_000 + "[]]"), "does not know"),
    raw("a key twice", text('"r": 4'), "twice"),
    raw("an inner key twice", text('"rank_pattern": {"q_proj": 2, "q_proj": 4}'), "twice"),
    raw("NaN", text('"lora_alpha": NaN').replace(b'"lora_alpha": 8, ', b""), "no number"),
    raw("Infinity", text('"use_rslora": Infinity'), "no number"),
    raw("a number of 5,000 digits", text('"seed": ' + "9" * 5000), "too long"),
    raw("a float that overflows", text('"x": 1e999').replace(b'"x"', b'"use_rslora"'), "not valid JSON"),
    raw("no kind", without("peft_type"), "does not say its peft_type"),
    said("a kind in lower case", "does not know", peft_type="lora"),
    said("a list for a kind", "does not know", peft_type=["LORA"]),
    said("a kind with escapes", "does not know", peft_type="\x1b[2JLORA"),
    *(said(f"the kind {kind}", "no method", peft_type=kind) for kind in ("PROMPT_TUNING", "XLORA", "ADALORA", "POLY")),
    said("auto_map", "auto_map", auto_map={"AutoModel": f"{EVIL}.Model"}),
    said("auto_mapping", "auto_mapping", auto_mapping={"base_model_class": "A", "parent_library": EVIL}),
    said("auto_mapping of os", "auto_mapping", auto_mapping={"base_model_class": "system", "parent_library": "os"}),
    said("auto_mapping and more", "auto_mapping", auto_mapping={"parent_library": "transformers.models.x", "y": 1}),
    said(
        "auto_mapping that climbs",
        "auto_mapping",
        auto_mapping={"base_model_class": "A", "parent_library": "transformers..os"},
    ),
    said("auto_mapping that is a list", "auto_mapping", auto_mapping=["os"]),
    said("experts in another order", "order of Unsloth's own", lora_B_layout="grouped_by_expert"),
    said("a layout that is a list", "order of Unsloth's own", lora_B_layout=["rank_major"]),
    said(
        "experts in an order that is not said",
        "order of Unsloth's own",
        target_parameters=["mlp.experts.down_proj"],
        auto_mapping={"unsloth_fixed": True},
    ),
    said("megatron_core", "megatron_core", megatron_core=EVIL),
    said("megatron_config", "megatron_config", megatron_config={"a": 1}),
    said("runtime_config", "runtime_config", runtime_config={"ephemeral_gpu_offload": True}),
    said("layer_replication", "layer_replication", layer_replication=[[0, 4], [2, 6]]),
    said("tokens that switch it on", "alora_invocation_tokens", alora_invocation_tokens=[1, 2]),
    said("an arrow", "arrow_config", arrow_config={"top_k": 2}),
    said("another task", "CAUSAL_LM", task_type="SEQ_CLS"),
    said("a task with escapes", "CAUSAL_LM", task_type="\x1b[31m"),
    *(
        said(f"a start by {start}", "init_lora_weights", init_lora_weights=start)
        for start in ("pissa", "olora", "corda", "loftq")
    ),
    said("a start of another type", "init_lora_weights", init_lora_weights=1),
    said("an unknown key", "does not know", code=f"import {EVIL}"),
    said("an unknown key with escapes", "characters that cannot be printed", **{"\x1b[2J": None}),
    said("a rank of 10**9", "cannot be", r=10**9),
    said("a rank of 60,000", "none of the tensors", r=60_000),
    said("a rank of a pattern", "none of the tensors", rank_pattern={"q_proj": 60_000}),
    said("a negative rank", "cannot be", r=-1),
    said("a rank of words", "cannot be", r="4"),
    said("a true rank", "cannot be", r=True),
    said("a rank of a fraction", "cannot be", r=4.5),
    said("an infinite alpha", "not valid JSON", lora_alpha=float("inf")),
    said("an alpha of 10**300", "cannot be", lora_alpha=10**300),
    said("an alpha of 1e300", "cannot be", lora_alpha=1e300),
    said("a dropout of 1", "cannot be", lora_dropout=1.0),
    said("a whole dropout of 1", "cannot be", lora_dropout=1),
    said("a negative dropout", "cannot be", lora_dropout=-0.5),
    said("another bias", "cannot be", bias="some"),
    said("words for a truth value", "cannot be", use_dora="yes"),
    said("a number for a truth value", "cannot be", use_dora=1),
    said("targets of numbers", "cannot be", target_modules=[1, 2]),
    said("targets that are patterns in a list", "cannot be", target_modules=["(a+)+$"]),
    said("a target of 10,000 characters", "cannot be", target_modules=["a" * 10_000]),
    said("200,000 targets", "cannot be", target_modules=["q_proj"] * 200_000),
    said("an object for targets", "cannot be", target_modules={"q_proj": 1}),
    said("a module to save that is a pattern", "cannot be", modules_to_save=["(x+x+)+y"]),
    said("a module to save with a slash", "cannot be", modules_to_save=["../x"]),
    said("layers by a pattern", "cannot be", layers_to_transform=[0], layers_pattern="(a+)+"),
    said("layers of negative numbers", "cannot be", layers_to_transform=[-1]),
    said("layers without end", "cannot be", layers_to_transform=[10**12]),
    said("tokens by a pattern", "patterns in trainable_token_indices", trainable_token_indices={"(a+)+": [1]}),
    said("negative tokens", "cannot be", trainable_token_indices=[-1]),
    said("a rank that runs for ever", "too much time", rank_pattern={r"([\w.]+)+!": 2}),
    said("an alpha that runs for ever", "too much time", alpha_pattern={r"(.*)*(.*)*(.*)*(.*)*(.*)*(.*)*x\1!": 2}),
    said("a rank that counts for ever", "too much time", rank_pattern={r"(?:(?:[\w.]{1,30}){1,30}){1,30}!": 2}),
    said("a pattern that is none", "is none", rank_pattern={"(": 2}),
    said("a pattern of 2,000 characters", "1,000", rank_pattern={"a|" * 1000: 2}),
    said("2,000 patterns", "1,000", rank_pattern={f"a+{i}": 2 for i in range(2000)}),
    said("ranks of words", "cannot be", rank_pattern={"q_proj": "4"}),
    said("ranks in a list", "cannot be", rank_pattern=["q_proj"]),
    said("ranks of 10**400", "cannot be", rank_pattern={"q_proj": 10**400}),
    said(
        "feedforward that runs for ever",
        "too much time|tensors do not tell",
        peft_type="IA3",
        **dict.fromkeys(("r", "lora_alpha", "lora_dropout", "bias"), None),
        feedforward_modules=BOMB,
    ),
    said(
        "a pattern where tensors tell nothing",
        "tensors do not tell",
        peft_type="VERA",
        lora_alpha=None,
        lora_dropout=None,
        target_modules=".*q_proj",
    ),
    said("a base with escapes", "cannot be printed", base_model_name_or_path="\x1b[2Jmistral"),
    said("a base with a line break", "cannot be printed", base_model_name_or_path="a\nb"),
    said("a base that turns the direction", "cannot be printed", base_model_name_or_path="a\u202eb"),
    said("a base of 10,000 characters", "at the most", base_model_name_or_path="a" * 10_000),
    said("a base that is a list", "cannot be", base_model_name_or_path=["a"]),
    said("a revision with a space", "cannot be", revision="a b"),
    said("a version with escapes", "cannot be", peft_version="\x1b[2J"),
    template("a template of 2 MiB", "chat_template.jinja", b"a" * (2 << 20), "chat_template.jinja has"),
    template("a template that is not text", "chat_template.jinja", b"\xff\xfe", "UTF-8"),
    template("a tokenizer that is no JSON", "tokenizer_config.json", b"{", "tokenizer_config.json"),
    template("a tokenizer nested deeply", "tokenizer_config.json", b"[" * 500_000, "nested"),
    template("a template that is a number", "tokenizer_config.json", b'{"chat_template": 1}', "not text"),
    template("half a character in a template", "tokenizer_config.json", b'{"chat_template": "\\ud800"}', "UTF-8"),
    template("a tokenizer of 5 MiB", "tokenizer_config.json", b" " * (5 << 20), "tokenizer_config.json has"),
    template("a record of 5 MiB", "graftlm.json", b" " * (5 << 20), "graftlm.json has"),
]
