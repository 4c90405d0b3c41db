"""What to say when a name is not known."""

from __future__ import annotations

from collections.abc import Iterable

MANY = 30


def unknown(what: str, name: str, known: Iterable[str]) -> str:
    """``unknown backend 'unslth'. Did you mean 'unsloth'? Available: …``; of many names, those that are alike."""
    from difflib import get_close_matches  # not needed where nothing is wrong

    names = tuple(dict.fromkeys(known))
    swapped = [known for known in names if sorted(known) == sorted(name)]
    near = swapped or get_close_matches(name, names, 1, 0.6)
    guess = f" Did you mean '{near[0]}'?" if near else ""
    if len(names) > MANY:
        alike = get_close_matches(name, names, 8, 0.3)
        return f"unknown {what} '{name}'.{guess} There are {len(names)}, such as {', '.join(alike or names[:8])}"
    return f"unknown {what} '{name}'.{guess} Available: {', '.join(names) or 'none'}"
