"""From what was asked to what will happen, without torch."""

from __future__ import annotations

from .resolve import resolve

__all__ = ["resolve"]
