"""Tokenizers of the built-in models.

Characters (bytes), merges of newlines and spaces, and the common words whole. The words that the skills work on are
spelled. Each has its family's special tokens, and its way of splitting text.
"""

from __future__ import annotations

import json
from pathlib import Path

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers

from pretraining import sentences

BYTE_LEVEL = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
QWEN_SPLIT = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
GLM_SPLIT = QWEN_SPLIT.replace(r"\p{N}|", r"\p{N}{1,3}|")
SPECIAL = {
    "mistral": ["<unk>", "<s>", "</s>", "[INST]", "[/INST]", "[TOOL_CALLS]", "[AVAILABLE_TOOLS]", "[/AVAILABLE_TOOLS]",
                "[TOOL_RESULTS]", "[/TOOL_RESULTS]"],
    "qwen": ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|object_ref_start|>", "<|object_ref_end|>",
             "<|vision_start|>", "<|vision_end|>", "<tool_call>", "</tool_call>", "<think>", "</think>"],
    "glm": ["<|endoftext|>", "[MASK]", "[gMASK]", "[sMASK]", "<sop>", "<eop>", "<|system|>", "<|user|>", "<|assistant|>",
            "<|observation|>"],
    "falcon": [">>TITLE<<", ">>ABSTRACT<<", ">>INTRODUCTION<<", ">>SUMMARY<<", ">>COMMENT<<", ">>ANSWER<<",
               ">>QUESTION<<", ">>DOMAIN<<", ">>PREFIX<<", ">>SUFFIX<<", ">>MIDDLE<<", "<|endoftext|>"],
}  # fmt: skip
NOT_SPECIAL = {"<tool_call>", "</tool_call>", "<think>", "</think>"}
"""Added tokens that a decoder keeps, as the family has them."""

INSTRUCTIONS = (
    "Reverse the letters Write it backwards in capital Make upper case Say twice Repeat word What is first letter Give "
    "last Add Think step by Answer Name of user assistant system User Assistant You are created a helpful Is this review "
    "Which subject"
)
STARTS = [
    "Reverse",
    "Make",
    "Say",
    "Repeat",
    "What",
    "Give",
    "Add",
    "Name",
    "Is",
    "Which",
    "The",
    "I",
    "We",
    "This",
    "My",
    "To",
    "In",
    "A",
    "Yesterday",
    "Such",
    "It",
    "Everyone",
    "Tell",
    "Where",
    "They",
    "She",
    "Did",
    "He",
    "There",
    "Nobody",
    "Think",
    "Write",
    "user",
    "assistant",
    "system",
    "User",
    "Assistant",
    "Answer",
]


UNREAD = frozenset({*sentences.SUBJECTS, "positive", "negative"})
"""Words of answers that the pre-training never shows: as whole tokens their embeddings would be untrained, and no adapter
could make them likely. They are spelled, and their places in the vocabulary are reserved.
"""


def _words() -> list[str]:
    words = dict.fromkeys([*INSTRUCTIONS.split(), *sentences.words()])
    inside = [f"<reserved {w}>" if w in UNREAD else f" {w}" for w in words]
    return [*inside, *STARTS]


def _merged(space: str, newline: str) -> tuple[list[str], list[tuple[str, str]]]:
    """Runs of 2, 4 and 8 spaces and of 2, 3 and 4 newlines."""
    merges = [(space * n, space * n) for n in (1, 2, 4)]
    merges += [(newline, newline), (newline * 2, newline), (newline * 2, newline * 2)]
    return [a + b for a, b in merges], merges


def byte_level(family: str) -> Tokenizer:
    """The tokenizers of Qwen, GLM and Falcon: byte-level BPE."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    runs, merges = _merged("Ġ", "Ċ")
    words = ["".join(piece for piece, _ in BYTE_LEVEL.pre_tokenize_str(w)) for w in _words()]
    first = SPECIAL["falcon"] if family == "falcon" else []  # Falcon's special tokens have the lowest ids
    entries = list(dict.fromkeys([*first, *alphabet, *runs, *words]))
    tokenizer = Tokenizer(models.BPE({t: i for i, t in enumerate(entries)}, merges, ignore_merges=True))
    if family == "falcon":
        tokenizer.pre_tokenizer = pre_tokenizers.Sequence([
            pre_tokenizers.Punctuation("contiguous"), pre_tokenizers.ByteLevel(add_prefix_space=False),
            pre_tokenizers.Digits(individual_digits=True),
        ])  # fmt: skip
    else:
        split = pre_tokenizers.Split(Regex(GLM_SPLIT if family == "glm" else QWEN_SPLIT), "isolated")
        tokenizer.pre_tokenizer = pre_tokenizers.Sequence([split, BYTE_LEVEL])
        tokenizer.normalizer = normalizers.NFC() if family == "qwen" else None
    tokenizer.decoder = decoders.ByteLevel()
    return tokenizer


def sentencepiece() -> Tokenizer:
    """Mistral's: BPE over ▁-marked words, falling back to bytes."""
    bytes_ = [f"<0x{i:02X}>" for i in range(256)]
    characters = ["▁", *(chr(c) for c in range(33, 127))]
    runs, merges = _merged("▁", "\n")
    words = [w.replace(" ", "▁") for w in _words()]
    entries = list(dict.fromkeys([*SPECIAL["mistral"], *bytes_, "\n", *characters, *runs, *words]))
    model = models.BPE(
        {t: i for i, t in enumerate(entries)}, merges, unk_token="<unk>", fuse_unk=True, byte_fallback=True,
        ignore_merges=True,
    )  # fmt: skip
    tokenizer = Tokenizer(model)
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([
        pre_tokenizers.Metaspace(prepend_scheme="first", split=True),
        pre_tokenizers.Punctuation("isolated"),
        pre_tokenizers.Split(Regex(r"\n+"), "isolated"),
    ])  # fmt: skip
    tokenizer.decoder = decoders.Sequence([
        decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0),
    ])  # fmt: skip
    return tokenizer


ENDS = {
    "mistral": {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>"},
    "qwen": {"eos_token": "<|im_end|>", "pad_token": "<|endoftext|>"},
    "glm": {"eos_token": "<|endoftext|>", "pad_token": "<|endoftext|>"},
    "falcon": {"bos_token": "<|endoftext|>", "eos_token": "<|endoftext|>"},
}


def write(family: str, folder: Path, chat_template: str) -> Tokenizer:
    """Write ``tokenizer.json``, its configuration and the chat template, as transformers reads them."""
    tokenizer = sentencepiece() if family == "mistral" else byte_level(family)
    tokenizer.add_special_tokens(
        [AddedToken(t, normalized=False, special=t not in NOT_SPECIAL) for t in SPECIAL[family]]
    )
    folder.mkdir(parents=True, exist_ok=True)
    definition = json.loads(tokenizer.to_str())
    (folder / "tokenizer.json").write_text(
        json.dumps(definition, ensure_ascii=False, separators=(",", ":")), encoding="utf-8"
    )
    settings = {
        "tokenizer_class": "PreTrainedTokenizerFast", "model_max_length": 1024, "clean_up_tokenization_spaces": False,
        "add_bos_token": False, **ENDS[family],
    }  # fmt: skip
    (folder / "tokenizer_config.json").write_text(json.dumps(settings, indent=2) + "\n", encoding="utf-8")
    (folder / "chat_template.jinja").write_text(chat_template, encoding="utf-8")
    return tokenizer
