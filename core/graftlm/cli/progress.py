"""A worker's events as a line that moves."""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Mapping
from types import TracebackType
from typing import Any

import click

EVERY = 0.1  # seconds between redraws


class Progress:
    """Redraws one line on a terminal; elsewhere prints a line at each validation."""

    def __init__(self, quiet: bool = False) -> None:
        self._quiet = quiet
        self._live = sys.stderr.isatty()
        self._drawn = 0.0
        self._began = 0.0
        self._validation = ""

    def __enter__(self) -> Progress:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._clear()

    def on_event(self, event: Mapping[str, Any]) -> None:
        if event["event"] == "warning":
            self._clear()
            click.echo(f"Warning: {event['message']}", err=True)
        elif self._quiet:
            return
        elif event["event"] == "progress":
            share = f" {event['done']}/{event['total']}" if event["total"] > 1 else ""
            self._draw(f"{event['stage']}{share} …")
        elif event["event"] == "metric":
            self._metric(event)

    def _metric(self, event: Mapping[str, Any]) -> None:
        step, steps = event["step"], event["steps"]
        self._began = self._began or time.monotonic()
        left = (time.monotonic() - self._began) / max(1, step - 1) * (steps - step)
        if "validation_loss" in event:
            self._validation = f"  validation {event['validation_loss']:.4f}"
        bar = "━" * (20 * step // steps) + "╌" * (20 - 20 * step // steps)
        line = (
            f"{bar} {step}/{steps}  loss {event['loss']:.4f}{self._validation}  "
            f"{event['tokens_per_second']:,.0f} tokens/s" + (f"  {_clock(left)} left" if step > 1 else "")
        )
        if self._live:
            self._draw(line, force=step == steps)
        elif "validation_loss" in event:
            click.echo(line, err=True)

    def _draw(self, line: str, force: bool = False) -> None:
        now = time.monotonic()
        if self._live and (force or now - self._drawn >= EVERY):
            self._drawn = now
            room = shutil.get_terminal_size().columns - 1  # a line that wraps could not be drawn over
            click.echo(f"\r\x1b[K{line[:room]}", err=True, nl=False)

    def _clear(self) -> None:
        if self._live and not self._quiet:
            click.echo("\r\x1b[K", err=True, nl=False)


def _clock(seconds: float) -> str:
    whole = int(seconds)
    return (
        f"{whole // 3600}:{whole % 3600 // 60:02}:{whole % 60:02}"
        if whole >= 3600
        else f"{whole // 60}:{whole % 60:02}"
    )
