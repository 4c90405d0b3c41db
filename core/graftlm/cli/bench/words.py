"""Settings in the words of a flag: ``max-length=512,1024``, ``backend=trainer``."""

from __future__ import annotations

import typing
from collections.abc import Sequence
from typing import Any

from graftlm.comparing.suite import Choice, growing
from graftlm.contracts.config import RunConfig
from graftlm.contracts.errors import UsageError
from graftlm.planning.config_file import typed_settings

SWITCHES = {"true": True, "on": True, "yes": True, "false": False, "off": False, "no": False}
"""Words of flags, as YAML has them."""


def swept(words: Sequence[str]) -> dict[str, tuple[Any, ...]]:
    """``max-length=512,1024`` as a setting and its values, in the order of their size."""
    found = {}
    for given in words:
        name, equals, values = given.partition("=")
        if not equals or not values:
            raise UsageError(f"--sweep {given} is not of the form SETTING=VALUE,VALUE,…, as max-length=512,1024,2048")
        each = [_one(f"--sweep {given}", name, value) for value in values.split(",")]
        key = next(iter(each[0]))
        found[key] = growing(f"--sweep {given}", [choice[key] for choice in each])
    return found


def chosen(flag: str, words: Sequence[str]) -> Choice:
    """``backend=trainer`` as a setting and its value."""
    found: dict[str, Any] = {}
    for given in words:
        name, equals, value = given.partition("=")
        if not equals:
            raise UsageError(f"{flag} {given} is not of the form SETTING=VALUE, as backend=trainer")
        found |= _one(f"{flag} {given}", name, value)
    return found


def _one(what: str, name: str, value: str) -> Choice:
    """A setting from the words of a flag."""
    key = name.strip().replace("-", "_")
    kinds = typing.get_type_hints(RunConfig)
    wanted = next((t for t in (int, float, bool) if key in kinds and t in typing.get_args(kinds[key])), str)
    try:
        said: Any = value if wanted is str else SWITCHES.get(value, value) if wanted is bool else wanted(value)
    except ValueError:
        said = value
    return typed_settings(what, {name.strip(): said})
