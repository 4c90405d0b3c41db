"""What is asked of ``acme``: run by ``pytest`` (``tests``) and by ``graftlm plugins check family/acme``."""

from __future__ import annotations

from graftlm.testing import FamilySuite

TINY = {
    "model_type": "starcoder2",
    "vocab_size": 64,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 64,
    "bos_token_id": 1,
    "eos_token_id": 2,
}


class AcmeSuite(FamilySuite):
    family = "acme"
    # Small configurations of each model type, and of each layout (``type/layout``) for which the facts differ.
    configs = {
        "starcoder2": TINY,
        "starcoder2/no-bias": {**TINY, "use_bias": False, "tie_word_embeddings": False},
        "starcoder2/window": {**TINY, "sliding_window": 8},
    }
