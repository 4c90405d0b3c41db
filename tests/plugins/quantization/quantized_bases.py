"""A small configuration of each architecture that a quantization must take."""

from pathlib import Path
from typing import Any

from graftlm.testing import QuantizationSuite

LLAMA_LIKE = {
    "vocab_size": 64, "hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2, "num_attention_heads": 4,
    "num_key_value_heads": 2, "head_dim": 16, "max_position_embeddings": 64, "pad_token_id": 0,
}  # fmt: skip
FALCON = {
    "model_type": "falcon", "vocab_size": 64, "hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4,
    "bos_token_id": 1, "eos_token_id": 1,
}  # fmt: skip
MAMBA = {"mamba_d_ssm": 64, "mamba_n_heads": 4, "mamba_d_head": 16, "mamba_n_groups": 1, "mamba_d_state": 16}
DENSE: dict[str, dict[str, Any]] = {
    **{name: {"model_type": name, **LLAMA_LIKE} for name in ("mistral", "qwen2", "qwen3", "glm", "glm4")},
    "tied": {"model_type": "qwen2", **LLAMA_LIKE, "tie_word_embeddings": True},
    "falcon/7b": {**FALCON, "multi_query": True, "parallel_attn": True},
    "falcon/40b": {**FALCON, "new_decoder_architecture": True, "num_kv_heads": 2},
    "falcon/rw": {**FALCON, "multi_query": False, "parallel_attn": False, "alibi": True, "bias": True},
    "falcon_h1": {"model_type": "falcon_h1", **LLAMA_LIKE, **MAMBA, "mamba_chunk_size": 16},
}
MOE = {
    "model_type": "qwen3_moe", **LLAMA_LIKE, "num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 32,
}  # fmt: skip


def of(name: str, folder: Path) -> QuantizationSuite:
    """The suite's way to make and load bases, for one quantization."""
    suite = QuantizationSuite()
    suite.folder = folder
    suite.quantization = name
    return suite
