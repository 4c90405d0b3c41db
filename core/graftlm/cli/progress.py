"""A worker's events as a line that moves."""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Mapping
from types import TracebackType
from typing import Any

import click

from .tables import size

EVERY = 0.1  # seconds between redraws
BAR = 20
LEAST_BAR = 5
"""Cells of a bar on a wide terminal, and on one so narrow that less would say nothing."""


class Progress:
    """Redraws one line on a terminal; elsewhere prints a line at each validation, at a step that stands out, and where
    a run goes on.
    """

    def __init__(self, quiet: bool = False) -> None:
        self._quiet = quiet
        self._live = sys.stderr.isatty()
        self._drawn = 0.0
        self._validation = ""
        self._spikes: list[int] = []
        self._pace = Pace()

    def __enter__(self) -> Progress:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.clear()

    def on_event(self, event: Mapping[str, Any]) -> None:
        if event["event"] == "warning":
            self.clear()
            click.echo(f"Warning: {event['message']}", err=True)
        elif self._quiet:
            return
        elif event["event"] == "progress":
            share = f" {event['done']}/{event['total']}" if event["total"] > 1 else ""
            self._draw(f"{event['stage']}{share} …")
        elif event["event"] == "resumed":
            self._pace.resumed(event["step"], event.get("time", time.time()))
            self.clear()
            click.echo(f"goes on after step {event['step']:,} of {event['steps']:,}", err=True)
        elif event["event"] == "metric":
            self._metric(event)

    def clear(self) -> None:
        """Take the line away; the next event draws it again."""
        if self._live and not self._quiet:
            click.echo("\r\x1b[K", err=True, nl=False)

    def _metric(self, event: Mapping[str, Any]) -> None:
        step, steps = event["step"], event["steps"]
        left = self._pace.left(step, steps, event.get("time", time.time()))
        if "validation_loss" in event:
            self._validation = f"  validation {event['validation_loss']:.4f}"
        spike = "usual_loss" in event
        if spike:
            self._spikes = [*(earlier for earlier in self._spikes if earlier < step), step]
        parts = [
            f"{step}/{steps}  loss {event['loss']:.4f}",
            f" ▲ (usually {event['usual_loss']:.4f})" if spike else "",
            self._validation,
            f"  {event['tokens_per_second']:,.0f} tokens/s",
            f"  {size(event['memory'])}" if event.get("memory") else "",
            f"  {_clock(left)} left" if left is not None else "",
            f"  ▲ at step {self._spikes[-1]}{_more(self._spikes)}" if self._spikes and not spike else "",
        ]
        line = "".join(parts)
        if self._live:
            self._draw(f"{_bar(step, steps, _room() - len(line) - 1)}{line}", force=step == steps or spike)
        elif "validation_loss" in event or spike:
            click.echo(f"{_bar(step, steps, BAR)}{line}", err=True)

    def _draw(self, line: str, force: bool = False) -> None:
        now = time.monotonic()
        if self._live and (force or now - self._drawn >= EVERY):
            self._drawn = now
            click.echo(f"\r\x1b[K{line[: _room()]}", err=True, nl=False)


class Pace:
    """Time left, by the clock that the events carry: a run that is watched later has the same. It counts from where
    the worker at hand began.
    """

    def __init__(self) -> None:
        self._from: tuple[int, float] | None = None
        self._last = 0

    def resumed(self, step: int, now: float) -> None:
        self._from, self._last = (step, now), step

    def left(self, step: int, steps: int, now: float) -> float | None:
        """Seconds; None where one step cannot tell."""
        if self._from is None or step <= self._last:  # another worker began from the beginning
            self._from = (step, now)
        self._last = step
        first, began = self._from
        return (now - began) / (step - first) * (steps - step) if step > first else None


def _bar(step: int, steps: int, room: int) -> str:
    """As wide as there is room, and none where that is hardly any."""
    width = min(BAR, room)
    if width < LEAST_BAR:
        return ""
    full = width * step // steps
    return "━" * full + "╌" * (width - full) + " "


def _more(spikes: list[int]) -> str:
    return f" and {len(spikes) - 1} more" if len(spikes) > 1 else ""


def _room() -> int:
    return shutil.get_terminal_size().columns - 1  # a line that wraps could not be drawn over


def _clock(seconds: float) -> str:
    whole = int(seconds)
    return (
        f"{whole // 3600}:{whole % 3600 // 60:02}:{whole % 60:02}"
        if whole >= 3600
        else f"{whole // 60}:{whole % 60:02}"
    )
