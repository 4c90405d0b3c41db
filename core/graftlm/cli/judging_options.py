"""The flags of the commands that judge: the settings of a run that matter where nothing is trained."""

from __future__ import annotations

import typing
from collections.abc import Callable, Mapping
from typing import Any

import click

from graftlm.contracts.config import SETTINGS, RunConfig

from .run_options import setting_option, with_assignments

JUDGED = (
    "val_data", "test_data", "val_split", "test_split", "split_rule", "split", "format", "columns", "thinking",
    "revision", "offline", "family", "template", "allow_template_mismatch", "dtype", "quantization", "rope",
    "context_length", "trust_remote_code", "accelerator", "device", "evaluator",
)  # fmt: skip
"""Settings that are a flag of every command that judges, beside DATA and the models."""

F = typing.TypeVar("F", bound=Callable[..., Any])


def judging_options(command: F) -> F:
    """Add DATA, and all flags."""
    return click.argument("data")(judging_flags(command))


def judging_flags(command: F) -> F:
    """Add the settings, a repeatable ``--model`` and ``--adapter``, and ``--set``."""
    kinds = typing.get_type_hints(RunConfig)
    for name in reversed(JUDGED):
        command = setting_option(name, SETTINGS[name], kinds[name])(command)
    command = click.option(
        "--set", "assignments", multiple=True, metavar="KIND.NAME=VALUE", help="An option of a plugin."
    )(command)
    command = click.option(
        "--adapter", "adapters", multiple=True, metavar="NAME[@N]", help="An adapter of the store (repeatable)."
    )(command)
    return click.option(
        "--model", "models", multiple=True, metavar="M", help=f"{SETTINGS['model']['help']} (repeatable)."
    )(command)


def judged_config(data: str | None, flags: Mapping[str, Any], assignments: tuple[str, ...]) -> RunConfig:
    """What was said, its model still open."""
    said = {name: flags[name] for name in JUDGED if flags.get(name) is not None}
    return RunConfig(data=data, options=with_assignments({}, assignments) or None, **said)
