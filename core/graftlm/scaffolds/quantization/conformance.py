"""What is asked of ``acme``: run by ``pytest`` (``tests``) and by ``graftlm plugins check quantization/acme``."""

from __future__ import annotations

from graftlm.testing import QuantizationSuite

TINY = {
    "vocab_size": 64,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 64,
    "pad_token_id": 0,
}
FALCON = {"vocab_size": 64, "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "pad_token_id": 0}


class AcmeSuite(QuantizationSuite):
    quantization = "acme"
    # A small configuration of each architecture that it must take: one whose linear layers are a subclass of torch's.
    configs = {
        "mistral": {"model_type": "mistral", **TINY},
        "qwen2": {"model_type": "qwen2", **TINY},
        "falcon": {"model_type": "falcon", **FALCON},
    }
    # What is lost of normally distributed weights, as a share of them.
    error = 0.007
    # What is stored beside each layer's weight, as the model's state has it.
    scales = ("scale",)
