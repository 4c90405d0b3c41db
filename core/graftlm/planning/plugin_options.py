"""Options of plugins: ``--set KIND.NAME=VALUE``, checked against what the plugin declares."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from graftlm.contracts.errors import UsageError
from graftlm.contracts.spec import Option, Spec
from graftlm_registry.suggestions import unknown

WORDS = {"true": True, "yes": True, "on": True, "1": True, "false": False, "no": False, "off": False, "0": False}


def plugin_options(chosen: Sequence[Spec], asked: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """Values of every option of the chosen plugins, by kind; ``UsageError`` on a kind or name that none declares."""
    declared: dict[str, dict[str, Option]] = {}
    for spec in chosen:
        declared.setdefault(spec.kind, {}).update({option.name: option for option in spec.options})
    for kind, values in asked.items():
        if kind not in declared:
            raise UsageError(unknown("kind of plugin in --set", kind, [k for k in declared if declared[k]]))
        for name in values:
            if name not in declared[kind]:
                raise UsageError(unknown(f"option of the chosen {kind}", name, declared[kind]))
    return {
        kind: {
            name: convert(f"{kind}.{name}", asked.get(kind, {}).get(name, o.default), o) for name, o in options.items()
        }
        for kind, options in declared.items()
    }


def convert(what: str, value: Any, option: Option) -> Any:
    """A value as the option's type; text comes from the command line, anything else from YAML or Python."""
    if value is None and option.default is None:
        return None
    converted = _typed(value, option.type)
    if converted is None:
        raise UsageError(f"{what} is {value!r}, and must be {_article(option.type)}")
    if option.choices and converted not in option.choices:
        raise UsageError(f"{what}: {unknown('value', str(converted), option.choices)}")
    if isinstance(converted, int | float) and not isinstance(converted, bool):
        if option.minimum is not None and converted < option.minimum:
            raise UsageError(f"{what} is {converted:g}, and must be at least {option.minimum:g}")
        if option.maximum is not None and converted > option.maximum:
            raise UsageError(f"{what} is {converted:g}, and must be at most {option.maximum:g}")
    return converted


def _article(kind: str) -> str:
    return {"int": "a whole number", "float": "a number", "bool": "true or false", "str": "text", "list": "a list"}[
        kind
    ]


def _typed(value: Any, kind: str) -> Any:
    """None where the value is not of the kind."""
    if kind == "bool":
        return value if isinstance(value, bool) else WORDS.get(str(value).lower())
    if kind == "list":
        return tuple(str(v) for v in value) if isinstance(value, list | tuple) else tuple(str(value).split(","))
    if kind == "str":
        return value if isinstance(value, str) else None
    if isinstance(value, bool):
        return None
    try:
        number = float(value)
    except (TypeError, ValueError):
        return None
    if kind == "int":
        return int(number) if number.is_integer() else None
    return number if math.isfinite(number) else None
