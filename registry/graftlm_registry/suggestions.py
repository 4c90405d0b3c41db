"""What to say when a name is not known."""

from __future__ import annotations

from collections.abc import Iterable


def unknown(what: str, name: str, known: Iterable[str]) -> str:
    """``unknown backend 'unslth'. Did you mean 'unsloth'? Available: …``."""
    from difflib import get_close_matches  # not needed where nothing is wrong

    names = tuple(known)
    near = get_close_matches(name, names, 1, 0.6)
    guess = f" Did you mean '{near[0]}'?" if near else ""
    return f"unknown {what} '{name}'.{guess} Available: {', '.join(names) or 'none'}"
