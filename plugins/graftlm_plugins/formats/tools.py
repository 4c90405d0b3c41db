"""Tools, and calls of them, as the usual files write them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, NoReturn

from graftlm.api import DataError, Record, ToolCall

from .fields import TOOLS, kind


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(name)


def from_json(words: str, what: str) -> Any:
    try:
        return json.loads(words, parse_constant=_refuse_constant)
    except (ValueError, RecursionError):
        raise DataError(f"{what} is text that is not valid JSON: mend it") from None


def to_json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def tools_in(record: Record) -> tuple[Mapping[str, Any], ...]:
    """The tools that may be called: ``tools`` (once ``functions``), as a list, or as the JSON of one."""
    found = [(name, tools) for name in TOOLS if (tools := _list(record.get(name), f"'{name}'"))]
    if len(found) > 1:
        raise DataError("it has 'tools' and 'functions': leave one out")
    return tuple(_tool(tool, f"tool {i} of '{name}'") for name, tools in found for i, tool in enumerate(tools, 1))


def _list(value: Any, what: str) -> list[Any]:
    if isinstance(value, str):
        value = from_json(value, what) if value.strip() else None
    if value is None:
        return []
    if not isinstance(value, list):
        raise DataError(f"{what} must be a list of tools, or the JSON of one, not {kind(value)}")
    return value


def _tool(tool: Any, what: str) -> Mapping[str, Any]:
    """As OpenAI writes it; a function alone is wrapped."""
    if isinstance(tool, Mapping) and tool.get("type") in (None, "function"):
        if not isinstance(tool.get("function"), Mapping):
            tool = {"function": {key: value for key, value in tool.items() if key != "type"}}
        name = tool["function"].get("name")
        if isinstance(name, str) and name:
            return tool if tool.get("type") else {"type": "function"} | {k: v for k, v in tool.items() if k != "type"}
    raise DataError(f'{what} must be a function with its name: {{"type": "function", "function": {{"name": …}}}}')


def bare(tool: Mapping[str, Any]) -> Mapping[str, Any]:
    """The function alone, as files other than OpenAI's have it; ``tools_in`` wraps it again."""
    function = tool.get("function")
    if set(tool) == {"type", "function"} and isinstance(function, Mapping) and not {"type", "function"} & set(function):
        return function
    return tool


def call_in(given: Any, what: str) -> ToolCall:
    """A call: ``{"name", "arguments"}``, alone or as the ``function`` of OpenAI's."""
    function = given.get("function") or given if isinstance(given, Mapping) else None
    name = function.get("name") if isinstance(function, Mapping) else None
    if not isinstance(function, Mapping) or not isinstance(name, str) or not name:
        raise DataError(f'{what} must have the name of a function and its arguments: {{"name": …, "arguments": {{…}}}}')
    if given.get("type") not in (None, "function"):
        raise DataError(f"{what} is of the type '{given['type']}', and only functions can be called")
    identity = given.get("id")
    if identity is not None and not isinstance(identity, str):
        raise DataError(f"{what} has an 'id' that is {kind(identity)}: write it as text")
    given_arguments = function.get("arguments")
    if given_arguments is None:
        given_arguments = function.get("parameters")
    return ToolCall(name, arguments(given_arguments, what), identity or "")


def arguments(value: Any, what: str) -> Mapping[str, Any]:
    """The arguments of a call: an object, the JSON of one, or nothing."""
    if isinstance(value, str):
        value = from_json(value, f"{what}: what it gives as arguments") if value.strip() else None
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise DataError(f"{what} has arguments that are {kind(value)}: write them as an object of names and values")
    return value
