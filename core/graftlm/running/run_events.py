"""The events that a run has written, read again."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

BLOCK = 1 << 15
"""Bytes that are read at a time from the end."""


def events_of(run: Path) -> Iterator[Mapping[str, Any]]:
    """In order; a line that was cut short is passed over."""
    path = run / "events.jsonl"
    if not path.is_file():
        return
    with path.open(encoding="utf-8", errors="replace") as lines:
        for line in lines:
            try:
                event = json.loads(line)
            except ValueError:
                continue
            if isinstance(event, dict) and "event" in event:
                yield event


def steps_of(run: Path) -> dict[int, Mapping[str, Any]]:
    """What was told of each finished step: the last time, where a run that was killed did it again."""
    found = {event["step"]: event for event in events_of(run) if event["event"] == "metric"}
    return {step: found[step] for step in sorted(found)}


def last_step(run: Path) -> tuple[int, float | None]:
    """The last finished step, and its loss; ``(0, None)`` before one. It reads no more of the file than it must."""
    most: int | None = None
    for event in _backwards(run / "events.jsonl"):
        if event["event"] == "resumed" and most is None:
            most = int(event["step"])  # later steps were another worker's, which left before it had saved them
        elif event["event"] == "metric" and (most is None or event["step"] <= most):
            return int(event["step"]), float(event["loss"])
    return most or 0, None


def _backwards(path: Path) -> Iterator[Mapping[str, Any]]:
    """Events of these kinds from the last to the first."""
    if not path.is_file():
        return
    with path.open("rb") as file:
        start, rest = file.seek(0, os.SEEK_END), b""
        while start > 0:
            end, start = start, max(0, start - BLOCK)
            file.seek(start)
            lines = (file.read(end - start) + rest).split(b"\n")
            rest = lines.pop(0) if start else b""  # it may begin further up
            for line in reversed(lines):
                if b'"metric"' in line[:40] or b'"resumed"' in line[:40]:
                    with suppress(ValueError):
                        yield json.loads(line)
