"""A worker that stays: one base in memory, adapters that come to it, and answers as they are made."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any

from graftlm.contracts.errors import GraftlmError, RunError, named_error
from graftlm.contracts.serial import to_json
from graftlm.contracts.serving import AnswerRequest, Ask, Guest, Request, Sampling, ServeJob

from .stopping import interrupted
from .worker_process import OnEvent, failure, start_worker, stop_worker

Event = Mapping[str, Any]
LEAVING = 10.0
"""Seconds that the worker has to leave after its pipe was closed."""


class Session:
    """``with Session(job) as session``: inside, the base is loaded, and the job's guests are on it.

    ``load_seconds`` is what the base took, ``guest_seconds`` what its guests did together, ``positions`` how many
    tokens it can read. While it is ``alive``, an error is a refusal, and the next request may do better. ``on_event``
    hears everything. A Python signal handler may call ``stop`` at any time.
    """

    def __init__(self, job: ServeJob, on_event: OnEvent = lambda event: None) -> None:
        self._job, self._on_event = job, on_event
        self._number = 0
        self._buffer = bytearray()
        self._last: Event = {}
        self.alive = True
        self.load_seconds = self.guest_seconds = 0.0
        self.positions = 0

    def __enter__(self) -> Session:
        self._folder = Path(tempfile.mkdtemp(prefix="graftlm-"))
        try:
            (self._folder / "job.json").write_bytes(to_json(self._job))
            theirs, self._requests = os.pipe()
            try:
                self._process, self._events = start_worker("serve", self._folder, requests=theirs)
            except BaseException:
                os.close(self._requests)
                raise
            finally:
                os.close(theirs)
        except BaseException:
            shutil.rmtree(self._folder, ignore_errors=True)
            raise
        try:
            for event in self._until("ready"):
                if event["event"] == "load":
                    self.load_seconds = event["seconds"]
                elif event["event"] == "loaded":
                    self.guest_seconds += event["seconds"]
            self.positions = self._last["positions"]
        except KeyboardInterrupt as stop:
            self._leave(kill=True)
            raise interrupted(stop) from None
        except BaseException:
            self._leave(kill=True)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._leave(kill=kind is not None)

    def load(self, guest: Guest) -> float:
        """One more adapter on the base; the seconds that it took. Raises where the worker refuses it."""
        self._send(Request(load=guest))
        for _ in self._until("loaded"):
            pass
        return float(self._last["seconds"])

    def answer(
        self,
        asks: Sequence[Ask],
        max_new_tokens: int,
        sampling: Sampling = Sampling(),  # noqa: B008 - it is frozen
        *,
        stream: bool = False,
        fit: bool = False,
    ) -> Iterator[Event]:
        """What comes of the request, ``answered`` last. Listen to the end; ``stop`` brings it near."""
        self._number += 1
        self._send(
            Request(
                answer=AnswerRequest(
                    number=self._number,
                    asks=tuple(asks),
                    max_new_tokens=max_new_tokens,
                    sampling=sampling,
                    stream=stream,
                    fit=fit,
                )
            )
        )
        yield from self._until("answered")

    def stop(self) -> None:
        """The request that is being answered need not be finished."""
        with suppress(OSError):
            os.write(self._requests, to_json(Request(stop=max(1, self._number))) + b"\n")

    def _send(self, request: Request) -> None:
        line = to_json(request) + b"\n"
        with suppress(BrokenPipeError):  # why it has gone is told when its events are read
            while line:
                line = line[os.write(self._requests, line) :]

    def _until(self, wanted: str) -> Iterator[Event]:
        """Events up to the one that is wanted. Raises what the worker refused, or died of."""
        while True:
            event = self._next()
            if event is None:
                self.alive = False
                code = self._process.wait()
                raise failure(self._last, code, self._folder)
            self._last = event
            self._on_event(event)
            if event["event"] == "refused":
                raise _refused(event)
            yield event
            if event["event"] == wanted:
                return

    def _next(self) -> Event | None:
        """The next event; None where the pipe is closed. A line that a dying worker left unfinished is none."""
        while b"\n" not in self._buffer:
            new = os.read(self._events, 1 << 16)
            if not new:
                return None
            self._buffer += new
        line, _, rest = self._buffer.partition(b"\n")
        self._buffer = rest
        event: Event = json.loads(line)
        return event

    def _leave(self, *, kill: bool) -> None:
        os.close(self._requests)
        if kill:
            os.close(self._events)  # it may be telling something
        try:
            if kill:
                stop_worker(self._process)
            else:
                self._process.wait(LEAVING)
        except (subprocess.TimeoutExpired, KeyboardInterrupt):
            stop_worker(self._process)
        finally:
            if not kill:
                os.close(self._events)
            shutil.rmtree(self._folder, ignore_errors=True)


def _refused(event: Event) -> GraftlmError:
    return named_error(str(event["kind"]), event["message"]) or RunError(event["message"])
