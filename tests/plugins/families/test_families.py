"""The built-in families, judged by the suite that third parties run."""

from graftlm.testing import FamilySuite

LLAMA_LIKE = {
    "vocab_size": 64, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4,
    "num_key_value_heads": 2, "head_dim": 8, "max_position_embeddings": 64, "pad_token_id": 0,
}  # fmt: skip
FALCON = {
    "model_type": "falcon", "vocab_size": 64, "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4,
    "bos_token_id": 1, "eos_token_id": 1,
}  # fmt: skip


class TestMistral(FamilySuite):
    family = "mistral"
    configs = {"mistral": {"model_type": "mistral", **LLAMA_LIKE}}


class TestQwen(FamilySuite):
    family = "qwen"
    configs = {name: {"model_type": name, **LLAMA_LIKE} for name in ("qwen2", "qwen3")}


class TestGlm(FamilySuite):
    family = "glm"
    configs = {name: {"model_type": name, **LLAMA_LIKE} for name in ("glm", "glm4")}


class TestFalcon(FamilySuite):
    family = "falcon"
    configs = {
        "falcon/7b": {**FALCON, "multi_query": True, "parallel_attn": True},
        "falcon/40b": {**FALCON, "new_decoder_architecture": True, "num_kv_heads": 2},
        "falcon/rw": {**FALCON, "multi_query": False, "parallel_attn": False, "alibi": True},
    }
