"""What is asked of ``gemma``: run by ``pytest``, ``graftlm plugins check family/gemma`` and ``template/gemma``."""

from __future__ import annotations

import json
from pathlib import Path
from tempfile import TemporaryDirectory

from graftlm.api import Message, RenderOptions
from graftlm.testing import FamilySuite, TemplateSuite

from . import BOS, END, EOS, START

FOLDER = TemporaryDirectory(prefix="graftlm-gemma-")
TINY = {
    "vocab_size": 64, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4,
    "num_key_value_heads": 2, "head_dim": 16, "max_position_embeddings": 64, "initializer_range": 0.2,
}  # fmt: skip
WINDOWS = {**TINY, "query_pre_attn_scalar": 24, "sliding_window": 4}  # shorter than the suite's samples
CAPPED = {**WINDOWS, "model_type": "gemma2", "attn_logit_softcapping": 2.0, "final_logit_softcapping": 3.0}
TWO_ROPES = {
    **WINDOWS, "model_type": "gemma3_text", "layer_types": ["sliding_attention", "full_attention"],
    "rope_parameters": {
        "sliding_attention": {"rope_type": "default", "rope_theta": 100.0},
        "full_attention": {"rope_type": "linear", "factor": 8.0, "rope_theta": 10000.0},
    },
}  # fmt: skip
BIASED = {"attention_bias": True, "tie_word_embeddings": False}


class GemmaSuite(FamilySuite):
    family = "gemma"
    configs = {
        "gemma": {**TINY, "model_type": "gemma"},
        "gemma/multi-query-biased": {**TINY, "model_type": "gemma", "num_key_value_heads": 1, **BIASED},
        "gemma2": CAPPED,
        "gemma2/uncapped": {**CAPPED, "attn_logit_softcapping": None, "final_logit_softcapping": None, **BIASED},
        "gemma3_text": TWO_ROPES,
        "gemma3_text/biased": {**WINDOWS, "model_type": "gemma3_text", "num_hidden_layers": 6, **BIASED},
    }


def write_tokenizer(folder: Path) -> Path:
    """A tokenizer built as Gemma's, of single letters: a blank is a letter of its own, what is unknown is its bytes."""
    from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers

    known = ["<pad>", EOS, BOS, "<unk>", *(f"<0x{byte:02X}>" for byte in range(256)), "▁", "\n"]
    known += [chr(letter) for letter in range(33, 127)]
    model = models.BPE({token: i for i, token in enumerate(known)}, [], byte_fallback=True, unk_token="<unk>")
    tokenizer = Tokenizer(model)
    tokenizer.normalizer = normalizers.Replace(" ", "▁")
    tokenizer.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()])
    special = ("<pad>", EOS, BOS, "<unk>", START, END)
    tokenizer.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in special])
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer.save(str(folder / "tokenizer.json"))
    settings = {"bos_token": BOS, "eos_token": EOS, "pad_token": "<pad>", "unk_token": "<unk>"}
    settings |= {"tokenizer_class": "PreTrainedTokenizerFast"}
    (folder / "tokenizer_config.json").write_text(json.dumps(settings), encoding="utf-8")
    return folder


class GemmaTemplateSuite(TemplateSuite):
    template = "gemma"
    tokenizer = write_tokenizer(Path(FOLDER.name))
    goldens = (
        (
            (Message("user", "Hi"),),
            RenderOptions(generation_prompt=True),
            "<bos><start_of_turn>user\nHi<end_of_turn>\n<start_of_turn>model\n",
        ),
        (
            (Message("system", "Be brief. "), Message("user", " Hi\n"), Message("assistant", "Hello. ")),
            RenderOptions(),
            "<bos><start_of_turn>user\nBe brief. \n\nHi<end_of_turn>\n<start_of_turn>model\nHello.<end_of_turn>\n",
        ),
        (
            (Message("user", "knock"), Message("assistant", "who?"), Message("user", "I")),
            RenderOptions(generation_prompt=True),
            "<bos><start_of_turn>user\nknock<end_of_turn>\n<start_of_turn>model\nwho?<end_of_turn>\n"
            "<start_of_turn>user\nI<end_of_turn>\n<start_of_turn>model\n",
        ),
    )
