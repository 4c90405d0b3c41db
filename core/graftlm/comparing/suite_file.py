"""A suite from a YAML file, or from flags of which some were given several times."""

from __future__ import annotations

import typing
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from graftlm.contracts.config import RunConfig
from graftlm.contracts.errors import UsageError
from graftlm.contracts.serial import digest
from graftlm.planning.config_file import read_yaml, typed_settings
from graftlm_registry.suggestions import unknown

from .cells import LABEL
from .parity import check_limits
from .suite import Choice, Suite

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
ACROSS = ("data", "model")
"""Settings by which work differs: a baseline has the same."""
HOW = ("backend", "accelerator", "micro_batch", "gradient_checkpointing")
"""Settings that change how something is computed, and not what."""
SWITCHES = {"true": True, "on": True, "yes": True, "false": False, "off": False, "no": False}
"""Words of flags, as YAML has them."""
NOT_SET = ("name", "out")
"""Settings of a single run, which a comparison sets itself."""


def read_suite(path: Path) -> Suite:
    """``UsageError`` names the key that cannot be. Paths of data are relative to the file."""
    content = read_yaml(path)
    for key in content:
        if key not in KEYS:
            raise UsageError(f"{path}: {unknown('key', str(key), KEYS)}")
    matrix = _lists(path, "matrix", content.get("matrix") or {})
    sweep = _lists(path, "sweep", content.get("sweep") or {})
    sweep = {key: _growing(f"{path}: sweep: {key.replace('_', '-')}", values) for key, values in sweep.items()}
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


def suite(
    *, title: str, base: Choice, matrix: Mapping[str, Sequence[Any]], baseline: Choice | None = None, **more: Any
) -> Suite:
    """Where no baseline is named, it has the first value of each setting that says how the same is computed; where none
    of them varies, the first value of what varies else, but the data, the model and what is swept. A setting with one
    value is no part of the matrix.
    """
    several = {key: tuple({digest(value): value for value in values}.values()) for key, values in matrix.items()}
    for key in NOT_SET:
        if key in several or any(key in choice for choice in (base, *more.get("include", ()))):
            raise UsageError(f"'{key}' is not for a comparison: it names its runs itself")
    single = {key: values[0] for key, values in several.items() if len(values) == 1}
    varying = {key: several[key] for key in sorted(several, key=lambda key: key not in ACROSS) if key not in single}
    sweeps = tuple(key for key in more.pop("sweeps", ()) if key in varying)
    fixed = {key: value for key, value in base.items() if key not in varying}
    if baseline is None:
        free = {key: values[0] for key, values in varying.items() if key not in (*ACROSS, *sweeps)}
        baseline = {key: value for key, value in free.items() if key in HOW} or dict(list(free.items())[:1])
        if not baseline and more.get("include"):
            baseline = {key: fixed.get(key) for choice in more["include"] for key in choice if key != LABEL}
    return Suite(title=title, base={**fixed, **single}, matrix=varying, baseline=baseline, sweeps=sweeps, **more)


def swept(words: Sequence[str]) -> dict[str, tuple[Any, ...]]:
    """``max-length=512,1024`` as a setting and its values, in the order of their size."""
    found = {}
    for given in words:
        name, equals, values = given.partition("=")
        if not equals or not values:
            raise UsageError(f"--sweep {given} is not of the form SETTING=VALUE,VALUE,…, as max-length=512,1024,2048")
        each = [_one(f"--sweep {given}", name, value) for value in values.split(",")]
        key = next(iter(each[0]))
        found[key] = _growing(f"--sweep {given}", [choice[key] for choice in each])
    return found


def _growing(what: str, values: Sequence[Any]) -> tuple[Any, ...]:
    """Numbers in the order of their size."""
    numbers = {value for value in values if isinstance(value, int | float) and not isinstance(value, bool)}
    if len(numbers) < max(2, len({digest(value) for value in values})) or not all(n > 0 for n in numbers):
        raise UsageError(f"{what} needs at least two numbers, all above 0")
    return tuple(sorted(numbers))


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
