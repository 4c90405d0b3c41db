"""The events that a run has written, read again."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any


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
