"""What a model's small files say of its chat template and its tokens."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from graftlm.contracts.errors import ModelError

NAMED = ("bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token")
"""Special tokens that a chat template finds as variables."""
TOOLS = "tool_use"
"""The name of a template that is used where tools are given."""


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
    config = _object(folder / "tokenizer_config.json")
    templates = _templates(folder, config)
    return SmallFiles(
        chat_template=templates.get("default", ""),
        tool_template=templates.get(TOOLS, ""),
        special_tokens=_special_tokens(folder, config),
        added_tokens=_added_tokens(folder, config),
    )


def _templates(folder: Path, config: Mapping[str, Any]) -> dict[str, str]:
    """Sources by name. A file of its own comes before ``tokenizer_config.json``, as transformers reads them."""
    alone = folder / "chat_template.jinja"
    if alone.is_file():
        found = {"default": _text(alone)}
        more = folder / "additional_chat_templates" / f"{TOOLS}.jinja"
        return {**found, TOOLS: _text(more)} if more.is_file() else found
    path = folder / "chat_template.json"
    given = _object(path).get("chat_template")
    if given is None:
        path = folder / "tokenizer_config.json"
        given = config.get("chat_template")
    if given is None:
        return {}
    if isinstance(given, str):
        return {"default": given}
    if isinstance(given, list) and all(
        isinstance(t, dict) and isinstance(t.get("name"), str) and isinstance(t.get("template"), str) for t in given
    ):
        return {t["name"]: t["template"] for t in given}
    raise ModelError(f"{path}: its chat_template is neither text nor a list of a name and a template each")


def _special_tokens(folder: Path, config: Mapping[str, Any]) -> dict[str, str]:
    """By variable; ``special_tokens_map.json`` of older models says what ``tokenizer_config.json`` does not."""
    older = _object(folder / "special_tokens_map.json")
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


def _object(path: Path) -> dict[str, Any]:
    """A JSON object, empty where there is no such file."""
    if not path.is_file():
        return {}
    try:
        value = json.loads(_text(path))
    except (ValueError, RecursionError) as error:
        raise ModelError(f"{path} is not valid JSON: {error}") from None
    if not isinstance(value, dict):
        raise ModelError(f"{path} does not hold a JSON object")
    return value


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise ModelError(f"{path} is not UTF-8 text") from None
    except OSError as error:
        raise ModelError(f"{path} cannot be read: {error.strerror}") from None
