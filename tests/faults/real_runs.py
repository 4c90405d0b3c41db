"""``graftlm train`` as a user starts it, in processes of its own, watched through its events."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import psutil

from graftlm.running.run_events import events_of
from graftlm_registry.runs import Run, all_runs

MAIN = "from graftlm.entry import main; main()"
PATIENCE = 240.0


def heeding() -> None:
    """Signals that a shell, or nohup, made its programs ignore."""
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)


class Front:
    """A running ``graftlm train``; what it prints goes to a file."""

    def __init__(self, folder: Path, *arguments: str | Path, **variables: str) -> None:
        self.printed = folder / "printed.txt"
        command = [sys.executable, "-c", MAIN, "train", *map(str, arguments)]
        with self.printed.open("wb") as output:
            self.process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=heeding,  # tests in the background ignore some
                env={**os.environ, "OMP_NUM_THREADS": "1", **variables},
            )

    @property
    def said(self) -> str:
        return self.printed.read_text(encoding="utf-8", errors="replace")

    def run(self) -> Run:
        """The run that it makes, once that is there."""
        return self.until(lambda: next(all_runs(), None))

    def until(self, there: Callable[[], Any]) -> Any:
        """Wait for it; what it gives."""
        end = time.monotonic() + PATIENCE
        while not (found := there()):
            left = self.process.poll() is not None
            assert time.monotonic() < end, f"it never came: {self.said}"
            assert not left or there(), f"the front has left: {self.said}"
            time.sleep(0.005)
        return found

    def told(self, run: Run, event: str, **fields: Any) -> Mapping[str, Any]:
        """The first event like this one, once it was told."""
        return self.until(lambda: next((e for e in events_of(run.folder) if like(e, event, fields)), None))

    def worker(self) -> psutil.Process:
        return self.until(lambda: next(iter(workers_of(self.process.pid)), None))

    def left(self, seconds: float = PATIENCE) -> int:
        return self.process.wait(seconds)

    def end(self) -> None:
        """Nothing of it is left behind, whatever a test came to."""
        if self.process.poll() is None:
            for process in (*workers_of(self.process.pid), self.process):
                process.kill()
            self.process.wait()


def like(event: Mapping[str, Any], name: str, fields: Mapping[str, Any]) -> bool:
    return event["event"] == name and all(event.get(key) == value for key, value in fields.items())


def workers_of(pid: int) -> list[psutil.Process]:
    try:
        found = psutil.Process(pid).children(recursive=True)
        return [child for child in found if "graftlm.worker" in " ".join(child.cmdline())]
    except psutil.NoSuchProcess:
        return []


def gone(process: psutil.Process, seconds: float) -> bool:
    """Whether it has left, or does so in so many seconds."""
    try:
        process.wait(seconds)
    except psutil.TimeoutExpired:
        return process.status() == psutil.STATUS_ZOMBIE
    return True
