"""The base as LLaMA-Factory is to find it: the same files, with precision and RoPE written into the configuration.

It loads a checkpoint in the precision that ``config.json`` names, and works out a RoPE factor of its own from the
longest text; what the plan says is said in the file instead. A tokenizer without an end or padding token gets new ones
from it, which the base's embeddings may have no room for; ours names a token that is there, since rows are ids already
and padding is masked.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from graftlm.api import LoadPlan, RopePlan

TOKENIZER = ("tokenizer_config.json", "special_tokens_map.json")
DTYPES = {"fp32": "float32", "bf16": "bfloat16", "fp16": "float16"}


def lay_out(source: Path, load: LoadPlan, folder: Path) -> Path:
    """Make ``folder`` of links to ``source``'s files and a ``config.json`` of its own; return it."""
    folder.mkdir(parents=True)
    for file in source.iterdir():
        if file.name not in ("config.json", *(TOKENIZER if not load.trust_remote_code else ())):
            (folder / file.name).symlink_to(file.resolve())
    config = json.loads((source / "config.json").read_text(encoding="utf-8"))
    config.pop("torch_dtype", None)  # the older name, which transformers still reads
    config["dtype"] = DTYPES[load.dtype]
    if load.rope is not None:
        config.update(_scaled(source, load.rope, load.trust_remote_code))
        config.pop("rope_scaling", None)
    if not load.trust_remote_code:  # else its class comes with the checkpoint
        (folder / TOKENIZER[0]).write_text(json.dumps(_tokenizer(source)), encoding="utf-8")
    (folder / "config.json").write_text(json.dumps(config, indent=2), encoding="utf-8")
    return folder


def _tokenizer(source: Path) -> dict[str, str]:
    """The settings of a tokenizer whose end and padding are the first token of ``tokenizer.json``."""
    from tokenizers import Tokenizer

    first = Tokenizer.from_file(str(source / "tokenizer.json")).id_to_token(0)
    return {"tokenizer_class": "PreTrainedTokenizerFast", "eos_token": first, "pad_token": first}


def _scaled(source: Path, rope: RopePlan, trust_remote_code: bool) -> dict[str, Any]:
    """What changes in a configuration. The model's other parameters of RoPE stay, such as the part of each head that it
    turns; the dynamic kind reads from ``max_position_embeddings`` what the model was made for.
    """
    from transformers import AutoConfig

    config = AutoConfig.from_pretrained(source, trust_remote_code=trust_remote_code, local_files_only=True)
    parameters = {**config.rope_parameters, "rope_type": rope.kind, "factor": rope.factor}
    if rope.kind == "yarn":
        parameters["original_max_position_embeddings"] = rope.original
    positions = rope.original if rope.kind == "dynamic" else rope.context
    changed: dict[str, Any] = {"rope_parameters": parameters, "max_position_embeddings": positions}
    if getattr(config, "head_dim", 0) is None:  # left open, where the kinds but "linear" need it
        changed["head_dim"] = config.hidden_size // config.num_attention_heads
    return changed
