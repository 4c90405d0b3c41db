"""Mistral's real tokenizers, as mistral-common carries them, written as the ``tokenizer.json`` that graftlm reads."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import mistral_common
from mistral_common.tokens.tokenizers.mistral import MistralTokenizer
from mistral_common.tokens.tokenizers.tekken import Tekkenizer
from sentencepiece import SentencePieceProcessor
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers

DATA = Path(mistral_common.__file__).parent / "data"
FILES = {
    "mistral-v1": "tokenizer.model.v1",
    "mistral-v3": "mistral_instruct_tokenizer_240323.model.v3",
    "mistral-v3-tekken": "tekken_240718.json",
    "mistral-v7": "mistral_instruct_tokenizer_241114.model.v7",
    "mistral-v7-tekken": "tekken_240911.json",
}
TEKKEN_WORDS = 30_000
"""Of tekken's entries, the first so many: a real tokenizer all the same, and read in a second."""
ALL_TEKKEN_WORDS = 130_072
"""What the models have of them."""


def theirs(template: str, folder: Path, tekken_words: int = TEKKEN_WORDS) -> MistralTokenizer:
    """Mistral's own tokenizer of a template's version; tekken's first entries are written to ``folder``."""
    file = FILES[template]
    if not file.endswith(".json"):
        return MistralTokenizer.from_file(str(DATA / file))
    whole = json.loads((DATA / file).read_text(encoding="utf-8"))
    config = {**whole["config"], "version": template.split("-")[1], "num_vocab_tokens": tekken_words}
    config["default_vocab_size"] = tekken_words + config["default_num_special_tokens"]
    path = folder / file
    path.write_text(json.dumps({"config": config, "vocab": whole["vocab"][:tekken_words]}), encoding="utf-8")
    return MistralTokenizer.from_file(str(path))


def definition(template: str, own: MistralTokenizer) -> str:
    """``tokenizer.json`` of Mistral's tokenizer."""
    file = FILES[template]
    tokenizer = own.instruct_tokenizer.tokenizer
    return _tekken(tokenizer, DATA / file) if isinstance(tokenizer, Tekkenizer) else _sentencepiece(DATA / file)


def _sentencepiece(path: Path) -> str:
    pieces = SentencePieceProcessor(model_file=str(path))
    every = range(pieces.vocab_size())
    words = [i for i in every if not (pieces.is_control(i) or pieces.is_unknown(i) or pieces.is_byte(i))]
    score = {pieces.id_to_piece(i): pieces.get_score(i) for i in words}
    tokenizer = Tokenizer(
        models.BPE(
            {pieces.id_to_piece(i): i for i in every},
            _merges(score, lambda piece: -score[piece]),
            unk_token="<unk>",
            fuse_unk=True,
            byte_fallback=True,
        )
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first", split=False)
    tokenizer.decoder = decoders.Sequence([decoders.ByteFallback(), decoders.Metaspace(prepend_scheme="first")])
    special = [pieces.id_to_piece(i) for i in every if pieces.is_control(i) or pieces.is_unknown(i)]
    tokenizer.add_special_tokens([AddedToken(token, normalized=False) for token in special])
    return tokenizer.to_str()


def _tekken(own: Tekkenizer, path: Path) -> str:
    config = json.loads(path.read_text(encoding="utf-8"))
    first = own.num_special_tokens
    written = _byte_letters()
    ranks = {
        "".join(written[b] for b in base64.b64decode(entry["token_bytes"])): entry["rank"]
        for entry in config["vocab"][: own.n_words - first]
    }
    special = {own.id_to_piece(i): i for i in range(first)}
    vocabulary = special | {token: first + rank for token, rank in ranks.items()}
    tokenizer = Tokenizer(models.BPE(vocabulary, _merges(ranks, ranks.__getitem__), ignore_merges=True))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(config["config"]["pattern"]), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens([AddedToken(token, normalized=False) for token in special])
    return tokenizer.to_str()


def _merges(pieces: Iterable[str], order: Any) -> list[tuple[str, str]]:
    """Every pair of pieces that makes a piece, those first that make the piece that comes first."""
    known = set(pieces)
    pairs = [
        (piece, piece[:cut], piece[cut:])
        for piece in known
        for cut in range(1, len(piece))
        if piece[:cut] in known and piece[cut:] in known
    ]
    pairs.sort(key=lambda pair: (order(pair[0]), len(pair[1]), pair))
    return [(left, right) for _, left, right in pairs]


def _byte_letters() -> dict[int, str]:
    """How byte-level vocabularies write a byte: printable ones as they are, the others from U+0100 on."""
    plain = {*range(33, 127), *range(161, 173), *range(174, 256)}
    others = [b for b in range(256) if b not in plain]
    return {b: chr(b) for b in plain} | {b: chr(256 + i) for i, b in enumerate(others)}
