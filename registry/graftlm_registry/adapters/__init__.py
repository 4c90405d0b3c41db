"""The adapter store."""

from __future__ import annotations

from .store import AdapterStore, open_store

__all__ = ["AdapterStore", "open_store"]
