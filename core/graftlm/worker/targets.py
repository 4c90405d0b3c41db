"""From ``"module:attribute"`` to what it names."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from graftlm.contracts.errors import PluginError


def resolve_target(target: str) -> Any:
    """Imports the module; ``PluginError`` where it or the attribute is not there."""
    module, _, attribute = target.partition(":")
    try:
        return getattr(import_module(module), attribute)
    except ImportError as error:
        raise PluginError(f"{target} cannot be imported: {error}") from error
    except AttributeError:
        raise PluginError(f"{target}: the module {module} has no {attribute}") from None
