"""Small real tokenizers for templates whose control tokens no built-in model has."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers

LINES = (
    "The quick brown fox jumps over the lazy dog, and then the dog sleeps.",
    "user assistant system question answer weather city observation",
    "Below is an instruction that describes a task. USER: ASSISTANT: [INST] ### Response:",
    '{"name": "weather", "arguments": {"city": "Zürich"}}\n\nno\r\nyes',
)
_FOLDERS = tempfile.TemporaryDirectory(prefix="graftlm-tokenizers-")


def byte_level(*tokens: str) -> Path:
    """The folder of a byte-level BPE tokenizer with these control tokens."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(vocab_size=400, initial_alphabet=pre_tokenizers.ByteLevel.alphabet())
    return _saved(tokenizer, trainer, tokens)


def metaspace(*tokens: str) -> Path:
    """The folder of a tokenizer that writes spaces as SentencePiece does, with these control tokens."""
    tokenizer = Tokenizer(models.BPE(unk_token="<unk>", fuse_unk=True, byte_fallback=True))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first", split=False)
    tokenizer.decoder = decoders.Sequence([decoders.ByteFallback(), decoders.Metaspace(prepend_scheme="first")])
    special = ["<unk>", *(f"<0x{i:02X}>" for i in range(256))]
    return _saved(tokenizer, trainers.BpeTrainer(vocab_size=700, special_tokens=special), tokens)


def _saved(tokenizer: Tokenizer, trainer: trainers.BpeTrainer, tokens: tuple[str, ...]) -> Path:
    tokenizer.train_from_iterator(LINES, trainer)
    learned = {**json.loads(tokenizer.to_str()), "added_tokens": []}  # bytes are no control tokens
    tokenizer = Tokenizer.from_str(json.dumps(learned))
    tokenizer.add_special_tokens([AddedToken(token, normalized=False) for token in tokens])
    folder = Path(tempfile.mkdtemp(dir=_FOLDERS.name))
    tokenizer.save(str(folder / "tokenizer.json"))
    return folder
