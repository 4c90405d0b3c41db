"""What a model's small files say of its chat template and its tokens."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from graftlm.contracts.errors import ModelError
from graftlm.contracts.model_files import TOOLS, read_chat_templates, read_object

NAMED = ("bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token")
"""Special tokens that a chat template finds as variables."""


@dataclass(frozen=True, slots=True)
class SmallFiles:
    """Templates are Jinja sources, empty where there is none."""

    chat_template: str
    tool_template: str
    special_tokens: Mapping[str, str]
    added_tokens: frozenset[str]


class _Token(msgspec.Struct):
    content: str


class _Tokenizer(msgspec.Struct):
    added_tokens: list[_Token] = []


def read_small_files(folder: Path) -> SmallFiles:
    """Raises ``ModelError`` where a file cannot be read, or does not hold what it should."""
    config = read_object(folder / "tokenizer_config.json")
    templates = read_chat_templates(folder)
    return SmallFiles(
        chat_template=templates.get("default", ""),
        tool_template=templates.get(TOOLS, ""),
        special_tokens=_special_tokens(folder, config),
        added_tokens=_added_tokens(folder, config),
    )


def _special_tokens(folder: Path, config: Mapping[str, Any]) -> dict[str, str]:
    """By variable; ``special_tokens_map.json`` of older models says what ``tokenizer_config.json`` does not."""
    older = read_object(folder / "special_tokens_map.json")
    found: dict[str, str] = {}
    for name in NAMED:
        given = config[name] if name in config else older.get(name)
        if isinstance(given, dict):
            given = given.get("content")
        if given is None:
            continue
        if not isinstance(given, str):
            raise ModelError(f"{folder / 'tokenizer_config.json'}: its {name} is not text")
        found[name] = given
    return found


def _added_tokens(folder: Path, config: Mapping[str, Any]) -> frozenset[str]:
    """Texts of the tokens that a tokenizer takes out of a text before it reads words."""
    path = folder / "tokenizer.json"
    found: set[str] = set()
    if path.is_file():
        try:
            definition = msgspec.json.decode(path.read_bytes(), type=_Tokenizer)
        except (OSError, msgspec.MsgspecError, RecursionError) as error:
            raise ModelError(f"{path} cannot be read as a tokenizer: {error}") from None
        found |= {token.content for token in definition.added_tokens}
    decoder = config.get("added_tokens_decoder")
    for token in decoder.values() if isinstance(decoder, dict) else ():
        if isinstance(token, dict) and isinstance(token.get("content"), str):
            found.add(token["content"])
    return frozenset(found - {""})
