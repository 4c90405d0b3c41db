"""The flags of a run, made from the fields of RunConfig, so that no flag and no key can be missing."""

from __future__ import annotations

import types
import typing
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from graftlm.contracts.config import EXCLUSIVE, SETTINGS, SUGGESTED, RunConfig
from graftlm.contracts.errors import UsageError

F = typing.TypeVar("F", bound=Callable[..., Any])


def run_options(command: F) -> F:
    """Add DATA, every setting, ``--config`` and ``--set``."""
    kinds = typing.get_type_hints(RunConfig)
    for name, metadata in reversed(list(SETTINGS.items())):
        if name != "data":
            command = setting_option(name, metadata, kinds[name])(command)
    command = click.option(
        "--set",
        "assignments",
        multiple=True,
        metavar="KIND.NAME=VALUE",
        help="An option of a plugin, as method.use_rslora=true.",
    )(command)
    command = click.option(
        "--config", "config_file", type=click.Path(path_type=Path), help="YAML with the same keys; flags override it."
    )(command)
    return click.argument("data", required=False)(command)


def setting_option(
    name: str, metadata: Mapping[str, Any], kind: Any, *, more: tuple[str, ...] = (), multiple: bool = False
) -> Callable[[F], F]:
    """The flag of a setting; ``kind`` is its type, or None. ``more`` are other names of it; ``multiple``: it can be
    given several times.
    """
    wanted = next(t for t in typing.get_args(kind) if t is not types.NoneType)
    flag = f"--{name.replace('_', '-')}"
    flags = (*more, flag)
    default = metadata["default"]
    model = ", or what the model suggests" if name in SUGGESTED else ""
    stated = "" if default is None or wanted is bool else f" [default: {default}{model}]"
    text = f"{metadata['help']}.{stated}"
    if wanted is bool:
        text += f" [default: {'on' if default else 'off'}]"
        return click.option(f"{flag}/--no-{flag[2:]}", name, default=None, help=text, multiple=multiple)
    if metadata["choices"]:
        shown = "|".join(metadata["choices"])
        return click.option(*flags, name, metavar=shown, help=f"{metadata['help']}.{stated}", multiple=multiple)
    shown = metadata["metavar"] or "|".join([{int: "N", float: "X", str: "NAME"}[wanted], *metadata["words"]])
    if metadata["words"]:
        wanted = NumberOr(metadata["words"])
    return click.option(*flags, name, type=wanted, metavar=shown, help=text, multiple=multiple)


class NumberOr(click.ParamType):  # type: ignore[type-arg]
    """A whole number, or one of some words."""

    name = "number"

    def __init__(self, words: Sequence[str]) -> None:
        self._words = words

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int | str:
        if value in self._words:
            return str(value)
        try:
            return int(value)
        except ValueError:
            self.fail(f"{value!r} is neither an integer nor {' or '.join(self._words)}.", param, ctx)


def repeatable_options(without: Sequence[str]) -> Callable[[F], F]:
    """Every setting but these as a flag that can be given several times."""

    def add(command: F) -> F:
        kinds = typing.get_type_hints(RunConfig)
        for name, metadata in reversed(list(SETTINGS.items())):
            if name not in without:
                more = ("--steps",) if name == "max_steps" else ()
                command = setting_option(name, metadata, kinds[name], more=more, multiple=True)(command)
        return command

    return add


def run_config(
    data: str | None, config_file: Path | None, assignments: tuple[str, ...], flags: dict[str, Any]
) -> RunConfig:
    """Flags over the file over nothing."""
    layers: dict[str, Any] = {}
    if config_file is not None:
        from graftlm.planning.config_file import read_config_file

        layers = read_config_file(config_file)
    said = {name: value for name, value in {"data": data, **flags}.items() if value is not None}
    for one, other in EXCLUSIVE:  # a flag overrides what the file says of the same thing in other words
        for flag, key in ((one, other), (other, one)):
            if flag in said and key not in said:
                layers.pop(key, None)
    layers |= said
    options = with_assignments(layers.get("options") or {}, assignments)
    return RunConfig(**{**layers, "options": options or None})


def with_assignments(known: Mapping[str, Any], assignments: tuple[str, ...]) -> dict[str, dict[str, Any]]:
    """Options of plugins by kind, with those of ``--set``."""
    options = {kind: dict(values) for kind, values in known.items()}
    for assignment in assignments:
        place, equals, value = assignment.partition("=")
        kind, dot, name = place.partition(".")
        if not (equals and dot and kind and name):
            raise UsageError(f"--set {assignment!r} is not of the form KIND.NAME=VALUE, as method.use_rslora=true")
        options.setdefault(kind, {})[name] = value
    return options
