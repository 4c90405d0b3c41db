"""A worker process and its events."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from graftlm.contracts import errors
from graftlm.contracts.errors import GraftlmError, Interrupted, RunError

OnEvent = Callable[[Mapping[str, Any]], None]
StartWorker = Callable[[str, Path, OnEvent], Mapping[str, Any]]
"""What ``run_worker`` is: a job, its folder, who listens; it returns the last event."""
POLITE = {"OMP_WAIT_POLICY": "PASSIVE", "TOKENIZERS_PARALLELISM": "false"}
"""Waiting threads sleep: where other programs share the cores, spinning ones make a run many times slower."""
PATIENCE = 60.0
"""Seconds that a worker has to leave after it was asked to."""


def run_worker(job: str, folder: Path, on_event: OnEvent) -> Mapping[str, Any]:
    """Run a job to its end and return its last event (``done``).

    Raises what the worker reported, ``RunError`` where it died without a word, and ``Interrupted`` on Ctrl-C, after
    the worker has left.
    """
    read_end, write_end = os.pipe()
    log = folder / "log.txt"
    command = [sys.executable, "-m", "graftlm.worker", job, str(folder), "--events", str(write_end)]
    with log.open("ab") as output:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            pass_fds=(write_end,),
            start_new_session=True,  # a terminal's Ctrl-C must reach the front only
            env={**POLITE, **os.environ, "PYTHONUNBUFFERED": "1"},
        )
    os.close(write_end)
    last: Mapping[str, Any] = {}
    previous = signal.signal(signal.SIGTERM, _interrupt)
    try:
        with (
            os.fdopen(read_end, encoding="utf-8") as lines,
            (folder / "events.jsonl").open("a", encoding="utf-8") as kept,
        ):
            for line in lines:
                kept.write(line)
                last = json.loads(line)
                on_event(last)
        process.wait()
    except KeyboardInterrupt as stop:
        _stop(process)
        number = signal.SIGTERM if isinstance(stop, _Terminated) else signal.SIGINT
        raise _interrupted(number) from None
    except BaseException:
        _stop(process)
        raise
    finally:
        signal.signal(signal.SIGTERM, previous)
    if last.get("event") == "done" and process.returncode == 0:
        return last
    if last.get("event") == "failed":
        raise _reported(last, log)
    raise RunError(f"the worker died ({_ending(process.returncode)}). {_tail(log)}")


class _Terminated(KeyboardInterrupt):
    """SIGTERM, told apart from Ctrl-C."""


def _interrupt(number: int, frame: object) -> None:
    raise _Terminated


def _interrupted(number: int) -> Interrupted:
    error = Interrupted(f"stopped by {signal.Signals(number).name}")
    error.exit_code = 128 + number
    return error


def _stop(process: subprocess.Popen[bytes]) -> None:
    """Ask the worker to leave; a second interrupt, or its silence, ends it at once."""
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(PATIENCE)
        except (subprocess.TimeoutExpired, KeyboardInterrupt):
            process.kill()
            process.wait()


def _reported(event: Mapping[str, Any], log: Path) -> GraftlmError:
    """The worker's error as the same class; one that graftlm does not know shows the log."""
    kind = getattr(errors, str(event["kind"]), None)
    if isinstance(kind, type) and issubclass(kind, GraftlmError):
        error = kind(event["message"])
        error.exit_code = int(event["exit_code"])
        return error
    return RunError(f"the worker failed: {event['message']}. {_tail(log)}")


def _ending(code: int) -> str:
    if code >= 0:
        return f"exit code {code}"
    name = signal.Signals(-code).name
    return f"{name}, perhaps out of memory" if name == "SIGKILL" else name


def _tail(log: Path, lines: int = 5) -> str:
    found = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()[-lines:] if log.is_file() else []
    shown = "".join(f"\n  | {line}" for line in found)
    return f"Its log is {log}{', and ends with' if found else ''}{shown}"
