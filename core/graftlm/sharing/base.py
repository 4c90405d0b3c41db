"""The base that an adapter from outside is for."""

from __future__ import annotations

import sys
from contextlib import suppress
from pathlib import Path

from graftlm.contracts.errors import GraftlmError, ModelError, RunError, UsageError
from graftlm.contracts.model import ModelDescription
from graftlm.planning import base_model
from graftlm_registry.plugins import Registry

SHOWN = 80
"""Characters of a stranger's word in a message."""


def find_base(named: str, asked: str, registry: Registry) -> tuple[str, ModelDescription]:
    """The reference by which the base is found from anywhere, and what it is."""
    reference = asked or named
    try:
        folder = Path(reference).expanduser()
        if reference and folder.is_dir():
            reference = str(folder.resolve())
    except (OSError, RuntimeError):  # too long for a path, or the home of nobody
        said = "--base" if asked else "the adapter's configuration"
        raise UsageError(f"{said} names the base {_short(reference)}, which is no model: give it with --base") from None
    if not reference:
        raise UsageError("the adapter does not say which base model it is for: give it with --base")
    try:
        return reference, base_model.describe(base_model.request(reference), registry)[1]
    except ModelError as error:
        if asked:
            raise
        raise ModelError(f"the adapter is for {reference}, which is not here: give it with --base ({error})") from None


def other_base(named: str, asked: str, description: ModelDescription) -> tuple[str, ...]:
    """A note where the configuration names another base than was asked for."""
    if not asked or not named or named in (asked, description.name):
        return ()
    with suppress(OSError, RuntimeError):
        if Path(named).expanduser().resolve() == description.folder.resolve():
            return ()
    return (f"its configuration names {_short(named)}, and you asked for {asked}",)


def unfit(error: RunError, description: ModelDescription) -> GraftlmError:
    """What a worker reported of an adapter that another base, or another file, would mend."""
    said = str(error)
    if said.startswith(("the worker died", f"{sys.executable} cannot be started")):
        return error
    return UsageError(said if "changes nothing" in said else f"it does not fit {description.name}: {said}")


def _short(words: str) -> str:
    said = words if words.isprintable() else ascii(words)
    return said if len(said) <= SHOWN else f"{said[:SHOWN]}…"
