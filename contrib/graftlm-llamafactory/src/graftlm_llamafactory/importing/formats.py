"""The columns and tags of a data set, as graftlm's ``format`` and ``columns``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .imported import Keys, Settings

ALPACA = {"prompt": "instruction", "query": "input", "response": "output", "system": "system", "history": "history"}
"""LLaMA-Factory's words for Alpaca's fields; the first three are there by default."""
TURNS = {"messages": "conversations", "system": "system", "tools": "tools"}
TAGS = {
    "role_tag": "from", "content_tag": "value", "user_tag": "human", "assistant_tag": "gpt",
    "observation_tag": "observation", "function_tag": "function_call", "system_tag": "system",
}  # fmt: skip
SPEAKERS: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    "sharegpt": {
        "user_tag": ("human", "user", "prompter"),
        "assistant_tag": ("gpt", "assistant", "chatgpt", "bing", "bard", "model", "bot"),
        "observation_tag": ("observation", "tool", "function_response", "tool_response"),
        "function_tag": ("function_call", "tool_call"),
        "system_tag": ("system",),
    },
    "openai": {
        "user_tag": ("user",),
        "assistant_tag": ("assistant",),
        "observation_tag": ("tool", "function"),
        "function_tag": ("assistant",),
        "system_tag": ("system", "developer"),
    },
}
"""Who speaks, in the words that graftlm's formats know."""
UNUSED = ("observation_tag", "function_tag")
"""Tags that need no counterpart where nobody set them: rows without tools have no such turns."""
ELSEWHERE = {
    "images": "graftlm trains on texts alone",
    "videos": "graftlm trains on texts alone",
    "audios": "graftlm trains on texts alone",
    "chosen": "graftlm does not train on preferences",
    "rejected": "graftlm does not train on preferences",
    "kto_tag": "graftlm does not train on judgements",
}


def said_as(keys: Keys, texts: bool = False) -> tuple[Settings, str]:
    """graftlm's settings for an entry of ``dataset_info.json``, and why there are none. ``texts``: for stage pt, which
    reads texts without turns.
    """
    if keys.get("ranking"):
        keys.leave("ranking", ELSEWHERE["chosen"])
        return {}, "it holds preferences, and graftlm trains on answers"
    keys.take("ranking", "nothing: false is what graftlm does")
    keys.leave("num_samples", "give DATA that has as many rows: 'graftlm data split' and 'mix' make such")
    formatting = keys.text("formatting", "alpaca")
    columns = _mapping(keys, "columns")
    if formatting == "alpaca":
        return _texts(keys, columns) if texts else _alpaca(keys, columns)
    if formatting in ("sharegpt", "openai") and not texts:
        return _turns(keys, columns)
    keys.leave("formatting", f"graftlm has no {formatting}{' of texts' * texts}: see 'graftlm plugins list'")
    return {}, f"its formatting {formatting} has no counterpart here: see 'graftlm plugins list'"


def _alpaca(keys: Keys, columns: Mapping[str, Any]) -> tuple[Settings, str]:
    keys.take("formatting", "format")
    keys.leave("tags", "they are for formatting sharegpt")
    if columns and not (columns.get("response") and (columns.get("prompt") or columns.get("query"))):
        keys.leave("columns", "it names no question and answer")
        return {}, "its columns name no question and answer"
    names = {ours: str(columns[theirs]) for theirs, ours in ALPACA.items() if columns.get(theirs)}
    return {"format": "alpaca", **_columns(keys, columns, names, ALPACA)}, ""


def _texts(keys: Keys, columns: Mapping[str, Any]) -> tuple[Settings, str]:
    """LLaMA-Factory takes the question alone as a text."""
    keys.take("formatting", "format")
    keys.leave("tags", "they are for formatting sharegpt")
    names = {"text": str(columns.get("prompt") or "instruction")}
    return {"format": "text", **_columns(keys, columns, names, {"prompt": "text"})}, ""


def _turns(keys: Keys, columns: Mapping[str, Any]) -> tuple[Settings, str]:
    tags = _mapping(keys, "tags")
    said = {**TAGS, **{key: str(value) for key, value in tags.items() if value}}
    shapes = {("from", "value"): "sharegpt", ("role", "content"): "openai"}
    ours = shapes.get((said["role_tag"], said["content_tag"]), "")
    strange = [
        key for key, known in SPEAKERS.get(ours, {}).items()
        if said[key] not in known and (key not in UNUSED or key in tags)
    ]  # fmt: skip
    if not ours or strange:
        named = ", ".join(f"{key} {said[key]}" for key in (strange or ("role_tag", "content_tag")))
        keys.leave("tags", f"graftlm has no such words ({named}): rename them in the file")
        return {}, f"its turns are written with {named}, which no format of graftlm reads: rename them in the file"
    keys.take("formatting", "format")
    keys.take("tags", f"format {ours}, which knows these words")
    field = "messages" if ours == "openai" else "conversations"
    fields = {**TURNS, "messages": field}
    names = {fields[theirs]: str(columns[theirs]) for theirs in TURNS if columns.get(theirs)}
    if columns.get("system") and ours == "openai":
        names.pop("system")
        keys.leave("columns", "graftlm's openai format takes a system text as the first message: put it there")
    names.setdefault(field, "conversations")
    return {"format": ours, **_columns(keys, columns, names, fields)}, ""


def _columns(
    keys: Keys, columns: Mapping[str, Any], names: Mapping[str, str], known: Mapping[str, str]
) -> dict[str, str]:
    """``columns`` where a field has another name than graftlm's."""
    others = [key for key in columns if key not in known]
    if others:
        why = "; ".join(f"{key}: {ELSEWHERE.get(key, 'graftlm has no such field here')}" for key in others)
        keys.leave("columns", f"{why}. The others are taken")
    keys.take("columns", "columns")
    strange = [c for c in names.values() if "," in c or "=" in c or c != c.strip()]
    if strange:
        keys.leave("columns", f"graftlm cannot name the column {strange[0]!r}: rename it in the file")
    elif any(ours != theirs for ours, theirs in names.items()):
        return {"columns": ",".join(f"{ours}={theirs}" for ours, theirs in names.items())}
    return {}


def _mapping(keys: Keys, key: str) -> Mapping[str, Any]:
    value = keys.get(key, {})
    if isinstance(value, Mapping):
        return value
    keys.leave(key, "it is no mapping")
    return {}
