"""Reading a model folder's small files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from .errors import ModelError

TOOLS = "tool_use"
"""The name of a template that is used where tools are given."""


def read_config(folder: Path) -> dict[str, Any]:
    """``config.json`` of a model folder; ``ModelError`` where there is none that can be read."""
    import json

    path = folder / "config.json"
    if not path.is_file():
        raise ModelError(f"{folder} has no config.json, so it is not a model folder (is it an adapter, or its parent?)")
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise ModelError(f"{path} is not valid JSON: {error}") from None
    if not isinstance(config, dict):
        raise ModelError(f"{path} does not hold a JSON object")
    return config


def read_chat_templates(folder: Path) -> dict[str, str]:
    """The Jinja sources that a model folder's files bring: ``default``, and ``tool_use`` where there is one for tools.
    ``ModelError`` where a file cannot be read. A file of its own comes before ``tokenizer_config.json``, as
    transformers reads them.
    """
    alone = folder / "chat_template.jinja"
    if alone.is_file():
        found = {"default": _text(alone)}
        more = folder / "additional_chat_templates" / f"{TOOLS}.jinja"
        return {**found, TOOLS: _text(more)} if more.is_file() else found
    path = folder / "chat_template.json"
    given = read_object(path).get("chat_template")
    if given is None:
        path = folder / "tokenizer_config.json"
        given = read_object(path).get("chat_template")
    if given is None:
        return {}
    if isinstance(given, str):
        return {"default": given}
    if isinstance(given, list) and all(
        isinstance(t, dict) and isinstance(t.get("name"), str) and isinstance(t.get("template"), str) for t in given
    ):
        return {t["name"]: t["template"] for t in given}
    raise ModelError(f"{path}: its chat_template is neither text nor a list of a name and a template each")


def read_object(path: Path) -> dict[str, Any]:
    """A JSON object, empty where there is no such file."""
    if not path.is_file():
        return {}
    import json

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
