"""What to say when a name is not known."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


def unknown(what: str, name: str, known: Iterable[str]) -> str:
    """``unknown backend 'unslth'. Did you mean 'unsloth'? Available: …``."""
    names = tuple(known)
    near = get_close_matches(name, names, 1, 0.6)
    guess = f" Did you mean '{near[0]}'?" if near else ""
    return f"unknown {what} '{name}'.{guess} Available: {', '.join(names) or 'none'}"
