"""Writes ``peft_configs.json``: ``python -m graftlm_registry.adapters.outside.make_configs``.

It says what an ``adapter_config.json`` of each kind of adapter may hold, from the dataclasses of the installed PEFT, so
that the front can check one without importing PEFT. A test makes it again and compares.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

PLACE = Path(__file__).with_name("peft_configs.json")
NOT_TAKEN = (
    "ADALORA", "ADAMSS", "ADAPTION_PROMPT", "CARTRIDGE", "CPT", "LILY", "MULTITASK_PROMPT_TUNING", "P_TUNING", "POLY",
    "PREFIX_TUNING", "PROMPT_TUNING", "SHADOW", "XLORA",
)  # fmt: skip
"""Kinds that graftlm has no method for."""
KINDS = {bool: "bool", int: "int", float: "float", str: "str", NoneType: "null", dict: "mapping"}


def made() -> dict[str, Any]:
    """By kind: the prefix of its parameters' names, and the types of each key."""
    import peft
    from peft.mapping import PEFT_TYPE_TO_CONFIG_MAPPING, PEFT_TYPE_TO_PREFIX_MAPPING

    kinds = {kind.value: found for kind, found in PEFT_TYPE_TO_CONFIG_MAPPING.items() if kind.value not in NOT_TAKEN}
    prefixes = {kind.value: prefix for kind, prefix in PEFT_TYPE_TO_PREFIX_MAPPING.items()}
    return {
        "peft": peft.__version__,
        "not_taken": list(NOT_TAKEN),
        "kinds": {name: {"prefix": prefixes[name], "keys": _keys(kinds[name])} for name in sorted(kinds)},
    }


def written() -> str:
    """As the file holds it, a key a line."""
    found = made()
    kinds = []
    for name, kind in found["kinds"].items():
        keys = ",\n".join(f"  {json.dumps(key)}: {json.dumps(types)}" for key, types in kind["keys"].items())
        kinds.append(f' {json.dumps(name)}: {{"prefix": {json.dumps(kind["prefix"])}, "keys": {{\n{keys}\n }}}}')
    head = f'{{"peft": {json.dumps(found["peft"])},\n"not_taken": {json.dumps(found["not_taken"])},\n'
    return head + '"kinds": {\n' + ",\n".join(kinds) + "\n}}\n"


def _keys(kind: Any) -> dict[str, list[str]]:
    hints = get_type_hints(kind)
    return {field.name: sorted(set(_types(hints[field.name]))) for field in fields(kind) if field.init}


def _types(hint: Any) -> Iterator[str]:
    """The types of a key, in JSON's words: a word that it may be stands behind an equals sign."""
    origin = get_origin(hint)
    if origin in (Union, UnionType):
        for part in get_args(hint):
            yield from _types(part)
    elif origin is Literal:
        yield from (f"={word}" for word in get_args(hint))
    elif origin is list:
        yield {str: "strings", int: "ints"}.get(get_args(hint)[0], "other")
    elif origin is dict or hint in KINDS:
        yield KINDS[origin or hint]
    elif isinstance(hint, type) and issubclass(hint, str):
        yield "str"  # an enumeration of words
    elif is_dataclass(hint):
        yield "other"
    else:
        raise SystemExit(f"PEFT has a key of a type that this does not know: {hint}")


if __name__ == "__main__":
    PLACE.write_text(written(), encoding="utf-8")
    print(PLACE)
