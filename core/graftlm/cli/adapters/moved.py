"""How much has moved, while files go from one place to another."""

from __future__ import annotations

import sys
import time
from types import TracebackType

import click

from ..tables import size

EVERY = 0.2
"""Seconds between two figures."""


class Moved:
    """A line on the terminal that counts bytes; nothing where stderr is no terminal, or with ``quiet``."""

    def __init__(self, word: str, *, quiet: bool) -> None:
        self._word = word
        self._shown = not quiet and sys.stderr.isatty()
        self._bytes, self._last = 0, time.monotonic()
        self._wrote = False

    def more(self, count: int) -> None:
        self._bytes += count
        if self._shown and time.monotonic() - self._last > EVERY:
            self._last, self._wrote = time.monotonic(), True
            click.echo(f"\r{self._word} {size(self._bytes)} ", nl=False, err=True)

    def __enter__(self) -> Moved:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._wrote:
            click.echo("", err=True)
