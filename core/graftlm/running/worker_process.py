"""A worker process and its events."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol

from graftlm.contracts.errors import GraftlmError, OutOfMemory, RunError, WorkerDied, named_error
from graftlm.environments.interpreter import BASE, Interpreter

from .event_pipe import EventPipe
from .out_of_memory import kills
from .stopping import interrupted

OnEvent = Callable[[Mapping[str, Any]], None]


class StartWorker(Protocol):
    """What ``run_worker`` is."""

    def __call__(self, job: str, folder: Path, on_event: OnEvent, /, at: Interpreter = BASE) -> Mapping[str, Any]: ...


POLITE = {
    "GOMP_SPINCOUNT": "100000",
    "ONEDNN_PRIMITIVE_CACHE_CAPACITY": "128",
    "LRU_CACHE_CAPACITY": "128",
    "TOKENIZERS_PARALLELISM": "false",
}
"""oneDNN and torch keep compiled products of 128 shapes instead of 1,024, at half a megabyte each: rows of any length
have no end of shapes. It cost no time (32 cost a third), and took 170 of 1,290 MiB off a run.

Waiting threads soon sleep. Spinning as long as libgomp does by itself made a run eight times slower where other
programs shared the cores; not spinning at all made it two times slower where none did."""
THRIFTY = {"MALLOC_MMAP_THRESHOLD_": "131072"}
"""glibc gives tensors back at once instead of keeping them in pieces. Without it a run on a CPU takes up to a third
more memory than its tensors; with it, each tensor waits for new pages: measured, a step takes 2.6 times as long."""
LOG = "log.txt"
LARGE = 512 << 20
"""Bytes of a plan below which no worker is thrifty."""
ROOM = 4 / 3
"""Times what a plan says that there must be, for a worker not to be thrifty."""
PATIENCE = 300.0
"""Seconds that a worker has to leave after it was asked to: a checkpoint of a large model takes its time."""


def run_worker(job: str, folder: Path, on_event: OnEvent, /, at: Interpreter = BASE) -> Mapping[str, Any]:
    """Run a job to its end, in the interpreter ``at``, and return its last event (``done``).

    Raises what the worker reported, ``RunError`` where it died without a word, and ``Interrupted`` on Ctrl-C, after
    the worker has left.
    """
    killed = kills()
    process, read_end = start_worker(job, folder, at)
    try:
        with EventPipe(read_end, folder / "events.jsonl", on_event) as pipe:
            try:
                pipe.listen()
                process.wait()
            except KeyboardInterrupt as stop:
                _stop_and_listen(process, pipe, on_event)
                raise interrupted(stop) from None
    except BaseException:
        stop_worker(process)
        raise
    if pipe.last.get("event") == "done" and process.returncode == 0:
        return pipe.last
    if process.returncode == -signal.SIGKILL and kills() > killed:
        raise OutOfMemory("the system killed the worker, because its memory ran out")
    raise failure(pipe.last, process.returncode, folder, at)


def _stop_and_listen(process: subprocess.Popen[bytes], pipe: EventPipe, on_event: OnEvent) -> None:
    """Ask the worker to leave, and hear what it still has to tell; a second interrupt, or its silence, ends it."""
    end = time.monotonic() + PATIENCE
    try:
        on_event({"event": "warning", "message": "stopping … (Ctrl-C again ends it at once)"})
        if process.poll() is None:
            process.terminate()
        while not pipe.listen(0.5) and process.poll() is None and time.monotonic() < end:
            pass
        process.wait(max(0.0, end - time.monotonic()))
    except (subprocess.TimeoutExpired, KeyboardInterrupt):
        process.kill()
        process.wait()


def start_worker(
    job: str, folder: Path, at: Interpreter = BASE, requests: int | None = None
) -> tuple[subprocess.Popen[bytes], int]:
    """The process, and the end of the pipe that its events come from. ``requests``: the end of a pipe that it is to
    read; the caller keeps it, and closes it.
    """
    more = () if requests is None else (requests,)
    read_end, write_end = os.pipe()
    try:
        with (folder / LOG).open("ab") as output:
            process = subprocess.Popen(
                at.worker(
                    job, str(folder), "--events", str(write_end), *(f"--requests={descriptor}" for descriptor in more)
                ),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                pass_fds=(write_end, *more),
                start_new_session=True,  # a terminal's Ctrl-C must reach the front only
                env={**POLITE, **_thrift(folder), **at.environ(), "PYTHONUNBUFFERED": "1"},
            )
    except OSError as error:
        os.close(read_end)
        raise RunError(f"{at.python} cannot be started: {error.strerror}{_advice(at)}") from None
    except BaseException:
        os.close(read_end)
        raise
    finally:
        os.close(write_end)
    return process, read_end


def failure(last: Mapping[str, Any], code: int, folder: Path, at: Interpreter = BASE) -> GraftlmError:
    """Why a worker left that should not have, or not so: by its last event and its exit code."""
    if last.get("event") == "failed":
        return _reported(last, folder / LOG, at)
    return WorkerDied(f"the worker died ({_ending(code)}){_advice(at)}. {_tail(folder / LOG)}")


def _thrift(folder: Path) -> Mapping[str, str]:
    """What a run on a CPU needs to take no more than its plan says, where there is not room for more."""
    path = folder / "plan.json"
    plan = json.loads(path.read_bytes()) if path.is_file() else {}
    memory = plan.get("memory") or {}
    total, available = memory.get("total", 0), memory.get("available", 0)
    return THRIFTY if plan.get("device") == "cpu" and total >= LARGE and total * ROOM > available else {}


def stop_worker(process: subprocess.Popen[bytes]) -> None:
    """Ask the worker to leave; a second interrupt, or its silence, ends it at once."""
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(PATIENCE)
        except (subprocess.TimeoutExpired, KeyboardInterrupt):
            process.kill()
            process.wait()


def _advice(at: Interpreter) -> str:
    return f" (is its environment sound? run: graftlm envs check {at.environment})" if at.environment else ""


def _reported(event: Mapping[str, Any], log: Path, at: Interpreter) -> GraftlmError:
    """The worker's error as the same class; one that graftlm does not know shows the log."""
    error = named_error(str(event["kind"]), event["message"])
    if error is not None:
        error.exit_code = int(event["exit_code"])
        return error
    return RunError(f"the worker failed: {event['message']}{_advice(at)}. {_tail(log)}")


def _ending(code: int) -> str:
    if code >= 0:
        return f"exit code {code}"
    name = signal.Signals(-code).name
    return f"{name}, perhaps out of memory" if name == "SIGKILL" else name


def _tail(log: Path, lines: int = 5) -> str:
    found = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()[-lines:] if log.is_file() else []
    shown = "".join(f"\n  | {line}" for line in found)
    return f"Its log is {log}{', and ends with' if found else ''}{shown}"
