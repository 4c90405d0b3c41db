"""Settings that only some backends follow."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from graftlm.contracts.config import SETTINGS
from graftlm.contracts.specs import Backend

from .settings import Settings

USUAL = {"keep": "last"}
"""What any backend does, where the settings' table states no default."""


def unfollowed(settings: Settings, backend: Backend, options: Mapping[str, Any]) -> Iterable[str]:
    """What was asked for and the backend would pass over in silence, a reason each. ``options`` are those that were
    asked for, by kind of plugin.
    """
    for name, setting in SETTINGS.items():
        value = settings[name]
        usual = (None, setting["default"], USUAL.get(name))
        if setting["by_backend"] and value not in usual and name not in backend.follows:
            flag = f"--{name.replace('_', '-')}"
            yield f"does not follow {flag} {value}: leave {flag} out, or choose --backend peft"
        elif setting["by_backend"] and name not in backend.follows and options.get(setting["plugin"]):
            yield f"does not follow --set {name}.…: leave it out, or choose --backend peft"
