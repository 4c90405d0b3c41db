"""Which modules an adapter changes, told by its tensors; so that no stranger's regular expression is run by PEFT.

Other tools write ``target_modules`` as one long regular expression, and keys of ``rank_pattern`` are such too. Tensors
name their modules, so the first is replaced by a list of paths; keys are matched once, in a child under limits.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from graftlm.contracts.errors import StoreError

from .strict_json import is_plain

MODEL = "base_model.model."
PATTERNS = ("rank_pattern", "alpha_pattern")
MOST_PATTERNS, LONGEST_PATTERN, MOST_NAMES = 1000, 1000, 20_000
KEPT = ("LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "SYSTEMROOT")
"""What the child sees of the environment: what Python itself may need."""
WAIT = 20.0
"""Seconds by the clock; the child's own limit is one of computing."""


def module_paths(names: Iterable[str], prefix: str) -> list[str]:
    """The paths of the modules that have tensors whose own names begin with the prefix, such as ``lora_``."""
    found = set()
    for name in names:
        end = name.rfind("." + prefix)
        if name.startswith(MODEL) and end > len(MODEL):
            found.add(name[len(MODEL) : end].replace(".base_layer", ""))
    return sorted(found)


def without_patterns(config: Mapping[str, Any], kind: str, paths: Sequence[str]) -> tuple[dict[str, Any], list[str]]:
    """The configuration with literal names alone, and what was changed; ``StoreError`` where that cannot be."""
    made, notes = dict(config), []
    if made.get("target_modules") in paths:  # one path, as PEFT writes it for trained tokens
        made["target_modules"] = [made["target_modules"]]
    lists = [key for key in ("target_modules", "exclude_modules", "feedforward_modules") if _is_words(made.get(key))]
    if lists:
        targets = _targets(paths, made.get("target_parameters") or ())
        if not targets:
            raise StoreError(
                f"adapter_config.json has a pattern in {lists[0]}, and the tensors do not tell which modules it means; "
                "write the modules' names as a list there"
            )
        if made.get("feedforward_modules"):
            made["feedforward_modules"] = _among(made["feedforward_modules"], targets)
        made["target_modules"] = targets
        if made.get("exclude_modules"):
            made["exclude_modules"] = None
        notes.append(f"{' and '.join(lists)} was a pattern; by its tensors, the adapter is on {len(targets)} modules")
    adapted = [*paths, *_parameter_paths(paths, made)] if any(made.get(key) for key in PATTERNS) else paths
    for key, value in sorted(made.items()):
        if isinstance(value, dict) and value:
            if key in PATTERNS and kind != "OSF":
                made[key] = _literal(key, value, adapted)
                if made[key] != value:
                    notes.append(f"{key} had patterns as its keys; they are the names of modules now")
            else:
                _check_plain(key, value, paths)
    return made, notes


def _is_words(value: object) -> bool:
    return isinstance(value, str)


def _targets(paths: Sequence[str], parameters: Iterable[str]) -> list[str]:
    """Without the modules that are adapted by parameters, which have a list of their own."""
    adapted = {parameter.rpartition(".")[0] for parameter in parameters}
    return [path for path in paths if adapted.isdisjoint(_ends(path))]


def _parameter_paths(paths: Sequence[str], config: Mapping[str, Any]) -> list[str]:
    """The paths that adapted parameters may have: of the modules that are not adapted themselves."""
    modules = set(config.get("target_modules") or ())
    others = [path for path in paths if modules.isdisjoint(_ends(path))]
    named = [parameter.rpartition(".")[::2] for parameter in config.get("target_parameters") or ()]
    if len(named) * len(others) > MOST_NAMES:
        raise StoreError("adapter_config.json has ranks for too many parameters")
    return sorted({f"{path}.{name}" for end, name in named for path in others if not end or end in _ends(path)})


def _among(chosen: str | Sequence[str], paths: Sequence[str]) -> list[str]:
    """The paths that a pattern matches, or the ends of paths in a list."""
    if isinstance(chosen, str):
        return [path for path, match in zip(paths, matches([chosen], paths, whole=True), strict=True) if match == 0]
    wanted = set(chosen)
    return [path for path in paths if wanted.intersection(_ends(path))]


def _literal(key: str, given: Mapping[str, Any], paths: Sequence[str]) -> dict[str, Any]:
    """The same values by keys that match what they spell. Of several matches, PEFT takes the first one given."""
    spelled = {name.replace("\\.", ".").replace("\\-", "-"): value for name, value in given.items()}
    if len(spelled) == len(given) and all(map(is_plain, spelled)) and _is_clear(spelled, paths):
        return dict(given)
    if not paths:
        raise StoreError(f"adapter_config.json has patterns in {key}, and no tensors tell what they match")
    values = list(given.values())
    chosen = [None if i is None else values[i] for i in matches(list(given), paths, whole=False)]
    made = _by_name(dict(zip(paths, chosen, strict=True)))
    spelled = {name.replace("\\", ""): value for name, value in made.items()}
    told = [[spelled[end] for end in _ends(path) if end in spelled] for path in paths]
    if any(said != ([] if value is None else [value]) for said, value in zip(told, chosen, strict=True)):
        raise StoreError(f"adapter_config.json has patterns in {key} that cannot be told apart by the modules' names")
    return made


def _by_name(chosen: Mapping[str, Any]) -> dict[str, Any]:
    """One key for all modules of a name where they agree, otherwise a key for each."""
    values: dict[str, set[Any]] = {}
    for path, value in chosen.items():
        values.setdefault(path.rpartition(".")[2], set()).add(value)
    made = {}
    for path, value in chosen.items():
        name = path.rpartition(".")[2]
        if value is not None:
            made[re.escape(name if len(values[name]) == 1 else path)] = value
    return made


def _check_plain(key: str, value: Mapping[str, Any], paths: Sequence[str]) -> None:
    strange = next((name for name in value if not is_plain(name)), None)
    if strange is not None or not _is_clear(value, paths):
        raise StoreError(
            f"adapter_config.json has patterns in {key}, which graftlm does not take; "
            "name each module once there, or the end of its path"
        )


def _is_clear(named: Mapping[str, Any], paths: Sequence[str]) -> bool:
    """Whether no order of the keys would give a module another value."""
    return all(len({json.dumps(named[end]) for end in _ends(path) if end in named}) <= 1 for path in paths)


def _ends(path: str) -> list[str]:
    """The path, and what is left of it behind each dot."""
    return [path, *(path[at + 1 :] for at, sign in enumerate(path) if sign == ".")]


def matches(patterns: Sequence[str], names: Sequence[str], *, whole: bool) -> list[int | None]:
    """For each name, the number of the first pattern that matches; ``StoreError`` where that takes too long."""
    if len(patterns) > MOST_PATTERNS or any(len(pattern) > LONGEST_PATTERN for pattern in patterns):
        raise StoreError(
            f"adapter_config.json has more than {MOST_PATTERNS:,} patterns of modules, or one of more than "
            f"{LONGEST_PATTERN:,} characters"
        )
    if len(names) > MOST_NAMES:
        raise StoreError(
            f"adapter_config.json has patterns of modules, and the adapter is on more than {MOST_NAMES:,} of them; "
            "name the modules there"
        )
    child = [sys.executable, "-I", "-S", str(Path(__file__).with_name("regex_child.py"))]
    request = json.dumps({"patterns": patterns, "names": names, "whole": whole})
    kept = {name: os.environ[name] for name in KEPT if name in os.environ}
    try:
        ended = subprocess.run(child, input=request.encode(), capture_output=True, timeout=WAIT, env=kept, check=False)
        answer = json.loads(ended.stdout) if ended.returncode == 0 else None
    except (subprocess.TimeoutExpired, ValueError):
        answer = None
    if answer is None:
        raise StoreError("adapter_config.json has a pattern of modules that takes too much time or memory to match")
    if isinstance(answer, dict):
        raise StoreError(f"adapter_config.json has a pattern of modules that is none: {answer['error']}")
    found: list[int | None] = answer
    return found
