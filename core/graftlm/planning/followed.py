"""Settings that only some backends follow."""

from __future__ import annotations

from collections.abc import Iterable

from graftlm.contracts.config import SETTINGS
from graftlm.contracts.specs import Backend

from .settings import Settings


def unfollowed(settings: Settings, backend: Backend) -> Iterable[str]:
    """What was asked for and the backend would pass over in silence, a reason each."""
    for name, setting in SETTINGS.items():
        value = settings[name]
        if setting["by_backend"] and value not in (None, setting["default"]) and name not in backend.follows:
            flag = f"--{name.replace('_', '-')}"
            yield f"does not follow {flag} {value}: leave {flag} out, or choose --backend peft"
