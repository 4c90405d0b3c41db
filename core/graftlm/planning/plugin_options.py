"""Options of plugins: ``--set KIND.NAME=VALUE``, checked against what the plugin declares."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from graftlm.contracts.config import SETTINGS
from graftlm.contracts.errors import UsageError
from graftlm.contracts.spec import Option, OptionType, Spec
from graftlm.contracts.tracking import Tracker
from graftlm_registry.suggestions import unknown

from .settings import flag

WORDS = {"true": True, "yes": True, "on": True, "1": True, "false": False, "no": False, "off": False, "0": False}


def plugin_options(chosen: Sequence[Spec], asked: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """Values of every option of the chosen plugins, by kind; ``UsageError`` on a kind or name that none declares."""
    declared: dict[str, dict[str, Option]] = {}
    for spec in chosen:
        declared.setdefault(spec.kind, {}).update({option.name: option for option in spec.options})
    for kind, values in asked.items():
        if kind not in declared and kind == Tracker.kind:
            raise UsageError(
                f"{kind}.{next(iter(values), '…')} is an option of a tracker, and none is chosen: give --track"
            )
        if kind not in declared:
            raise UsageError(unknown("kind of plugin in --set", kind, [k for k in declared if declared[k]]))
        for name in values:
            if name not in declared[kind]:
                raise UsageError(_not_declared(name, [spec for spec in chosen if spec.kind == kind]))
    return {
        kind: {
            name: convert(f"{kind}.{name}", asked.get(kind, {}).get(name, o.default), o) for name, o in options.items()
        }
        for kind, options in declared.items()
    }


def own_options(spec: Spec, options: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Those of a plan that the plugin declares: several of one kind share a name space."""
    theirs = options.get(spec.kind, {})
    return {option.name: theirs[option.name] for option in spec.options if option.name in theirs}


FLAGS = {"r": "rank", "lora_alpha": "alpha", "lora_dropout": "dropout"}
"""Settings that PEFT knows by other names."""


def _not_declared(name: str, chosen: Sequence[Spec]) -> str:
    """What to say of a name that is no option of the chosen plugins of one kind."""
    kind, who = chosen[0].kind, " and ".join(f"{spec.kind} {spec.name}" for spec in chosen)
    options = {option.name: option for spec in chosen for option in spec.options}
    if (setting := FLAGS.get(name, name)) in SETTINGS:
        return f"{kind}.{name} is a setting of its own: give {flag(setting)}"
    for option in options.values():
        if left_out := _left_out(name, option):
            return f"{kind}.{name} cannot be chosen: {left_out}"
    if not options:
        chooses = next((flag(name) for name, setting in SETTINGS.items() if setting["plugin"] == kind), f"--{kind}")
        return f"{who} has no options: leave {kind}.{name} out, or choose another {chooses}"
    return unknown(f"option of {who}", name, options)


def _left_out(word: str, option: Option) -> str:
    """What an option's help says after "Left out are", where it names the word (``eva_config`` is eva's)."""
    said = option.help.partition("Left out are ")[2]
    return f"left out are {said}" if word.removesuffix("_config") in re.findall(r"\w+", said) else ""


def convert(what: str, value: Any, option: Option) -> Any:
    """A value as the option's type; text comes from the command line, anything else from YAML or Python."""
    if value is None and option.default is None:
        return None
    if option.choices and isinstance(value, bool) and option.type == "str":
        value = str(value).lower()  # YAML reads a bare true as a truth value, and it may be one of the words
    converted = _typed(value, option.type)
    if converted is None:
        raise UsageError(f"{what} is {value!r}, and must be {ARTICLES[option.type]}")
    for each in converted if isinstance(converted, tuple) else (converted,):
        _check(what, each, option)
    return converted


ARTICLES: Mapping[OptionType, str] = {
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "str": "text",
    "path": "a path",
    "list": "a list, written with commas",
    "ints": "whole numbers, written with commas",
    "mapping": "a mapping from text to a number or a text, written as a=1,b=2 or as JSON",
}


def _check(what: str, value: Any, option: Option) -> None:
    """One value against the option's choices and bounds."""
    if option.choices and value not in option.choices:
        if left_out := _left_out(str(value), option):
            raise UsageError(f"{what}={value} cannot be chosen: {left_out}")
        raise UsageError(f"{what}: {unknown('value', str(value), option.choices)}")
    if isinstance(value, int | float) and not isinstance(value, bool):
        if option.minimum is not None and value < option.minimum:
            raise UsageError(f"{what} is {value:g}, and must be at least {option.minimum:g}")
        if option.maximum is not None and value > option.maximum:
            raise UsageError(f"{what} is {value:g}, and must be at most {option.maximum:g}")


def _typed(value: Any, kind: OptionType) -> Any:
    """None where the value is not of the kind."""
    if kind == "bool":
        return value if isinstance(value, bool) else WORDS.get(str(value).lower())
    if kind == "str":
        return value if isinstance(value, str) else None
    if kind == "path":  # a run may be gone on with elsewhere
        return value and str(Path(value).expanduser().absolute()) if isinstance(value, str) else None
    if kind == "list":
        parts = _parts(value)
        return None if parts is None else tuple(map(str, parts))
    if kind == "ints":
        parts = _parts(value)
        whole = [None] if parts is None else [_whole(part) for part in parts]
        return None if None in whole else tuple(whole)
    if kind == "mapping":
        return _mapping(value)
    return _whole(value) if kind == "int" else _finite(value)


def _parts(value: Any) -> Sequence[Any] | None:
    """The members of a list; text is read as JSON where it begins as a list, else cut at its commas, and an empty text
    is an empty list. None where JSON is wrong.
    """
    if isinstance(value, list | tuple):
        return value
    text = str(value).strip()
    if text.startswith("["):
        found = _json(text)
        return found if isinstance(found, list) else None
    return [part.strip() for part in text.split(",")] if text else []


def _finite(value: Any) -> float | None:
    if isinstance(value, bool):
        return None
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def _whole(value: Any) -> int | None:
    if isinstance(value, int) and not isinstance(value, bool):
        return value  # not by way of a float, which has 53 bits
    number = _finite(value)
    return int(number) if number is not None and number.is_integer() else None


def _mapping(value: Any) -> dict[str, int | float | str] | None:
    """From JSON, from ``a=1,b=2``, or as YAML gives it; None where a key is no text or a value is a list."""
    if isinstance(value, str):
        value = _written(value.strip())
    if not isinstance(value, Mapping):
        return None
    if not all(isinstance(k, str) and isinstance(v, int | float | str) for k, v in value.items()):
        return None
    return None if any(isinstance(v, bool) for v in value.values()) else dict(value)


def _written(text: str) -> Any:
    """What a text says: JSON where it begins as an object, else ``a=1,b=2``. A name may hold ``=``, a value not."""
    if text.startswith("{"):
        return _json(text)
    pairs = [part.rpartition("=") for part in text.split(",")] if text else []
    if not all(name.strip() and sign for name, sign, _ in pairs):
        return None
    return {name.strip(): _number_or_text(written.strip()) for name, _, written in pairs}


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _number_or_text(text: str) -> int | float | str:
    whole, number = _whole(text), _finite(text)
    return text if number is None else number if whole is None else whole
