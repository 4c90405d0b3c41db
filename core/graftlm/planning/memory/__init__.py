"""What training will take of a device's memory, from shapes alone. ``estimate`` is the way in."""

from __future__ import annotations

from .estimate import estimate

__all__ = ["estimate"]
