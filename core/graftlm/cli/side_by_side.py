"""Texts in columns beside each other, as wide as the terminal; below each other where that is too narrow."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Mapping
from itertools import zip_longest

import click

from .terminal import visible

BETWEEN = " │ "
NARROW = 20
"""A column of fewer places is not worth reading."""


def side_by_side(texts: Mapping[str, str], room: int) -> str:
    """Each under its name."""
    count = len(texts)
    width = (room - len(BETWEEN) * (count - 1)) // max(1, count)
    if width < NARROW:
        return "\n\n".join(f"{click.style(name, fg='cyan')}\n{visible(text)}" for name, text in texts.items())
    columns = [list(_lines(visible(text).expandtabs(4), width)) for text in texts.values()]
    head = BETWEEN.join(click.style(_filled(next(_lines(name, width), ""), width), fg="cyan") for name in texts)
    body = (BETWEEN.join(_filled(line, width) for line in row).rstrip() for row in zip_longest(*columns, fillvalue=""))
    return "\n".join([head.rstrip(), *body])


def _lines(text: str, width: int) -> Iterator[str]:
    """Lines of at most ``width`` places, cut between words where one fits."""
    for line in text.split("\n"):
        rest = line
        while places(rest) > width:
            end = _prefix(rest, width)
            space = rest.rfind(" ", 1, end + 1)
            cut = space if space > 0 else end
            yield rest[:cut].rstrip()
            rest = rest[cut:].lstrip()
        yield rest


def _prefix(text: str, width: int) -> int:
    """How many characters fit; at least one."""
    used = 0
    for i, character in enumerate(text):
        used += places(character)
        if used > width:
            return max(1, i)
    return len(text)


def _filled(text: str, width: int) -> str:
    return text + " " * (width - places(text))


def places(text: str) -> int:
    """What a terminal gives to a text: two for a wide character, none for a mark on another one."""
    if text.isascii():
        return len(text)
    return sum(0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)
