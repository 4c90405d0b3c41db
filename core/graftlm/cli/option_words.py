"""Options of a plugin as people read them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from graftlm.contracts.errors import PluginError
from graftlm_registry.plugins import registry

FEW = 4
"""Options that are all told, said or not: they are what the plugin is about."""


def option_words(kind: str, name: str, options: Mapping[str, Any]) -> list[str]:
    """``layers 2``, ``rank_pattern q_proj=4``: those that are not as usual, and all where there are few."""
    try:
        declared = {option.name: option.default for option in registry().find(kind, name)[1].options}
    except PluginError:  # a plugin that is gone: the record is still shown
        declared = {}
    told = {
        key: value
        for key, value in options.items()
        if _plain(value) != _plain(declared.get(key, ())) or (len(declared) <= FEW and value not in ((), {}, "", False))
    }
    return [f"{key} {_words(value)}" for key, value in told.items()]


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


def _words(value: Any) -> str:
    if isinstance(value, Mapping):
        return ",".join(f"{key}={each}" for key, each in value.items())
    if isinstance(value, list | tuple):
        return ",".join(map(str, value))
    return {True: "on", False: "off"}[value] if isinstance(value, bool) else f"{value}"
