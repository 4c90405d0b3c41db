"""A suite from a YAML file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from graftlm.contracts.errors import UsageError
from graftlm.planning.config_file import read_yaml, typed_settings
from graftlm_registry.suggestions import unknown

from .parity import check_limits
from .suite import LABEL, Choice, Suite, growing, suite

KEYS = (
    "title",
    "base",
    "matrix",
    "exclude",
    "include",
    "baseline",
    "sweep",
    "repeat",
    "warmup-steps",
    "tolerance",
    "answers",
)


def read_suite(path: Path) -> Suite:
    """``UsageError`` names the key that cannot be. Paths of data are relative to the file."""
    content = read_yaml(path)
    for key in content:
        if key not in KEYS:
            raise UsageError(f"{path}: {unknown('key', str(key), KEYS)}")
    matrix = _lists(path, "matrix", content.get("matrix") or {})
    sweep = _lists(path, "sweep", content.get("sweep") or {})
    sweep = {key: growing(f"{path}: sweep: {key.replace('_', '-')}", values) for key, values in sweep.items()}
    return suite(
        title=str(content.get("title") or path.stem),
        base=_choice(path, "base", content.get("base") or {}),
        matrix={**matrix, **sweep},
        exclude=_choices(path, "exclude", content.get("exclude") or ()),
        include=_choices(path, "include", content.get("include") or ()),
        baseline=_choice(path, "baseline", content["baseline"]) if content.get("baseline") else None,
        sweeps=tuple(sweep),
        repeat=_whole(path, "repeat", content.get("repeat", 5), least=1),
        warmup=_whole(path, "warmup-steps", content.get("warmup-steps", 3), least=0),
        tolerance=_numbers(path, content.get("tolerance") or {}),
        answers=_whole(path, "answers", content.get("answers", 8), least=0),
    )


def _lists(path: Path, key: str, given: Any) -> dict[str, tuple[Any, ...]]:
    if not isinstance(given, dict) or not all(isinstance(values, list) and values for values in given.values()):
        raise UsageError(f"{path}: {key} must hold settings, each with a list of values, as 'backend: [peft, trl]'")
    found = {}
    for name, values in given.items():
        if None in values:
            raise UsageError(f"{path}: {key}: {name} has an empty value: say the one that is meant")
        each = [_choice(path, key, {name: value}) for value in values]
        found[next(iter(each[0]))] = tuple(value for one in each for value in one.values())
    return found


def _choices(path: Path, key: str, given: Any) -> tuple[Choice, ...]:
    if not isinstance(given, list | tuple) or not all(isinstance(each, dict) for each in given):
        raise UsageError(f"{path}: {key} must be a list of settings, as '- {{backend: trl, model: tiny-qwen}}'")
    return tuple(_choice(path, key, each) for each in given)


def _choice(path: Path, key: str, given: Any) -> Choice:
    if not isinstance(given, dict):
        raise UsageError(f"{path}: {key} must hold settings, such as 'model: tiny-mistral'")
    label = {LABEL: str(given[LABEL])} if LABEL in given and key == "include" else {}
    rest = {name: value for name, value in given.items() if name not in label}
    return {**typed_settings(f"{path}: {key}", rest, path.parent), **label}


def _whole(path: Path, key: str, value: Any, least: int) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < least:
        raise UsageError(f"{path}: {key} is {value!r}, and must be a whole number of at least {least}")
    return value


def _numbers(path: Path, given: Any) -> dict[str, float]:
    if not isinstance(given, dict) or not all(isinstance(value, int | float) for value in given.values()):
        raise UsageError(f"{path}: tolerance must hold limits with numbers, as 'first-loss: 0.01'")
    check_limits(f"{path}: tolerance", [str(name) for name in given])
    return {str(name): float(value) for name, value in given.items()}
