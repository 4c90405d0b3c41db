"""graftlm: train, keep, compare and merge adapters for language models.

The functions here are the command line's own. Importing this module imports nothing heavy.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .version import __version__

if TYPE_CHECKING:
    from .python_api import compare, generate, merge, plan, repair, resume, train

__all__ = ["__version__", "compare", "generate", "merge", "plan", "repair", "resume", "train"]


def __getattr__(name: str) -> Any:
    if name in __all__:
        from . import python_api

        return getattr(python_api, name)
    raise AttributeError(f"module 'graftlm' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
