"""Lays out the model of the engine's figures: Qwen2's architecture with 24M parameters and random weights.

``python engine_model.py FOLDER``: hidden 384, 8 layers, 8,192 words, tokenizer and template of tiny-qwen:
small enough that a step takes a second on two cores, large enough that products of matrices are what takes the time.
"""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

from graftlm.worker.random_weights import random_weights
from graftlm_registry.models import catalogue

CONFIG = {
    "architectures": ["Qwen2ForCausalLM"], "model_type": "qwen2", "vocab_size": 8192, "hidden_size": 384,
    "intermediate_size": 1536, "num_hidden_layers": 8, "num_attention_heads": 6, "num_key_value_heads": 2,
    "max_position_embeddings": 8192, "rms_norm_eps": 1e-06, "rope_theta": 10000.0, "tie_word_embeddings": False,
    "hidden_act": "silu", "use_sliding_window": False, "initializer_range": 0.02, "dtype": "float32",
}  # fmt: skip


def lay_out(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer = catalogue().entry("tiny-qwen").tokenizer
    for name in ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja"):
        shutil.copyfile(tokenizer / name, folder / name)
    (folder / "config.json").write_text(json.dumps(CONFIG, indent=2), encoding="utf-8")
    random_weights(folder)


if __name__ == "__main__":
    lay_out(Path(sys.argv[1]))
