"""Writes ``peft_methods.json`` from the installed PEFT: ``python -m graftlm_plugins.methods.make_schema``.

The front checks options against it without importing PEFT; a test makes it again and compares.
"""

from __future__ import annotations

import enum
import json
from collections.abc import Iterable
from dataclasses import MISSING, Field, fields
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from .schema_words import ALWAYS, HELP, LEFT_OUT, NO_RANK, NOT_OPTIONS, OWN_TARGETS, QUANTIZED, SUMMARIES

PLACE = Path(__file__).with_name("peft_methods.json")
SIZES = {"rank": ("r",), "alpha": ("lora_alpha", "alpha", "randlora_alpha")}


def schema() -> dict[str, Any]:
    """Every method that works here, and why the others do not."""
    import peft
    from peft.mapping import PEFT_TYPE_TO_CONFIG_MAPPING

    known = {kind.value.lower(): made for kind, made in PEFT_TYPE_TO_CONFIG_MAPPING.items()}
    unsorted = sorted(known.keys() ^ (SUMMARIES.keys() | LEFT_OUT.keys()))
    if unsorted:
        raise SystemExit(f"not in both PEFT {peft.__version__} and schema_words: {', '.join(unsorted)}")
    return {
        "peft": peft.__version__,
        "methods": {name: _method(name, known[name]) for name in sorted(SUMMARIES)},
        "left_out": dict(sorted(LEFT_OUT.items())),
    }


def written() -> str:
    """The schema as its file holds it, a field a line."""
    made = schema()
    methods = []
    for name, method in made["methods"].items():
        rest = json.dumps({key: value for key, value in method.items() if key != "fields"})
        lines = ",\n".join("    " + json.dumps(field) for field in method["fields"])
        methods.append(f' {json.dumps(name)}: {rest[:-1]}, "fields": [\n{lines}\n ]}}')
    left_out = ",\n".join(f" {json.dumps(name)}: {json.dumps(why)}" for name, why in made["left_out"].items())
    return (
        f'{{"peft": {json.dumps(made["peft"])},\n"methods": {{\n' + ",\n".join(methods) + "\n},\n"
        f'"left_out": {{\n{left_out}\n}}}}\n'
    )


def _method(name: str, made: type) -> dict[str, Any]:
    from peft import PeftConfig

    common = {field.name for field in fields(PeftConfig)}
    hints = get_type_hints(made)
    own = {field.name: field for field in fields(made) if field.init and field.name not in common}
    settings: dict[str, str] = {}
    if name not in NO_RANK:
        for setting, names in SIZES.items():
            field = next((n for n in names if n in own and own[n].default is not None), None)
            if field:
                settings[setting] = field
        dropout = next((n for n in own if n.endswith("_dropout") and n not in ("rank_dropout", "module_dropout")), None)
        if dropout:
            settings["dropout"] = dropout
    if name not in OWN_TARGETS:
        settings["target_modules"] = "target_modules"
    options = [
        _option(name, field, hints[field.name])
        for field in own.values()
        if field.name not in (*NOT_OPTIONS, *settings.values())
        and not (field.name.startswith("init_") and _is_test_switch(hints[field.name]))
        and not (name == "trainable_tokens" and field.name == "target_modules")
    ]
    whole = [f for s, f in settings.items() if s in ("rank", "alpha") and hints[f] is int]
    return {
        "config": made.__name__,
        "summary": SUMMARIES[name],
        "settings": settings,
        "suggestions": {s: _default(own[f]) for s, f in settings.items() if s in SIZES},
        "whole": whole,
        "targets": OWN_TARGETS.get(name, "linear"),
        "quantized": name in QUANTIZED,
        "always": ALWAYS.get(name, {}),
        "fields": options,
    }


def _is_test_switch(hint: Any) -> bool:
    """Whether a field chooses between a start that changes nothing and one that is for PEFT's own tests."""
    parts = _parts(hint)
    return bool in parts and not any(_words(part) for part in parts)


def _option(method: str, field: Field[Any], hint: Any) -> dict[str, Any]:
    """One field as data: its type among the option types, its default, its choices."""
    parts = [part for part in _parts(hint) if part is not NoneType]
    words = tuple(word for part in parts for word in _words(part))
    kind = _kind(parts)
    if field.name == "bias":
        words, kind = ("none", "all", f"{method}_only"), "str"
    if words and bool in parts:
        words = ("true", "false", *words)
    default = _default(field)
    if kind in ("list", "ints") and default is None:
        default = []
    if kind == "mapping" and default is None:
        default = {}
    if words and isinstance(default, bool):
        default = str(default).lower()
    return {"name": field.name, "type": kind, "default": default, "choices": words, "help": HELP[field.name]}


def _parts(hint: Any) -> Iterable[Any]:
    """The members of a union, unions within it opened."""
    if get_origin(hint) in (Union, UnionType):
        return [inner for part in get_args(hint) for inner in _parts(part)]
    return [hint]


def _words(part: Any) -> tuple[str, ...]:
    if get_origin(part) is Literal:
        return tuple(word for word in get_args(part) if isinstance(word, str))
    return tuple(word.value for word in part) if isinstance(part, type) and issubclass(part, enum.Enum) else ()


def _kind(parts: list[Any]) -> str:
    """The widest of a field's types that an option can have."""
    origins = [get_origin(part) or part for part in parts]
    if dict in origins:
        return "mapping"
    if list in origins:
        inner = next(get_args(part) for part in parts if get_origin(part) is list)
        return "ints" if inner == (int,) else "list"
    if str in origins or any(_words(part) for part in parts):
        return "str"
    return "float" if float in origins else "int" if int in origins else "bool"


def _default(field: Field[Any]) -> Any:
    factory: Any = field.default_factory
    value = field.default if field.default is not MISSING else factory()
    return getattr(value, "value", value)


if __name__ == "__main__":
    PLACE.write_text(written(), encoding="utf-8")
    print(PLACE)
