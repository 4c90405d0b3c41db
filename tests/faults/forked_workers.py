"""Workers that are forked off a process in which torch is imported already: real ones, without the seconds of a start.

``graftlm.running.worker_process`` is given ``Forked`` in place of ``subprocess.Popen``; all else is the code that every
run is carried out by. What forks must never have trained: torch's backward pass does not survive a fork.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Mapping, Sequence
from types import SimpleNamespace
from typing import IO

DEFAULTS = (signal.SIGTERM, signal.SIGHUP, signal.SIGPIPE)


def import_what_workers_need() -> None:
    """All of it, before the first fork; one thread, so that nothing is lost by it."""
    from graftlm.worker.unneeded import EAGER

    for name in EAGER:  # a worker hides them itself, before it imports what would import them
        sys.modules[name] = None  # type: ignore[assignment]
    import accelerate.state  # noqa: F401
    import matplotlib.pyplot  # noqa: F401 - for the supervisor's picture
    import peft  # noqa: F401
    import torch
    import transformers  # noqa: F401

    from graftlm.worker import (  # noqa: F401
        adapt,
        checkpointing,
        context,
        draws,
        effective,
        evaluation,
        initial,
        load,
        memory,
        neftune,
        proof,
        proving,
        training,
    )
    from graftlm_plugins.backends import loop  # noqa: F401
    from graftlm_plugins.methods import lora_tuner  # noqa: F401

    torch.set_num_threads(1)


class Forked:
    """A worker: what ``subprocess.Popen`` would be, as far as it is asked."""

    def __init__(
        self,
        arguments: Sequence[str],
        *,
        stdin: int,
        stdout: IO[bytes],
        stderr: int,
        pass_fds: Sequence[int],
        start_new_session: bool,
        env: Mapping[str, str],
    ) -> None:
        at = arguments.index("graftlm.worker")
        self.returncode: int | None = None
        sys.stdout.flush()
        self.pid = os.fork()
        if self.pid == 0:
            try:
                self._become(arguments[at:], stdout.fileno(), pass_fds, env)
            finally:
                os._exit(99)

    @staticmethod
    def _become(arguments: Sequence[str], log: int, kept: Sequence[int], env: Mapping[str, str]) -> None:
        try:
            os.setsid()
            os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
            os.dup2(log, 1)
            os.dup2(log, 2)
            beyond = 3
            for descriptor in sorted(kept):  # as exec leaves them: the supervisor's lock is not one of them
                os.closerange(beyond, descriptor)
                beyond = descriptor + 1
            os.closerange(beyond, 1024)
            for number in DEFAULTS:
                signal.signal(number, signal.SIG_DFL)
            signal.signal(signal.SIGINT, signal.default_int_handler)
            os.environ.clear()
            os.environ.update(env)
            sys.argv = list(arguments)
            import torch

            # a fork's thread pool is made anew at the first call; two threads at once, as weights are loaded, find none
            torch.set_num_threads(1)
            from graftlm.worker.__main__ import main

            os._exit(main())
        except BaseException:  # noqa: BLE001 - the log is where it is looked for
            traceback.print_exc()
            sys.stderr.flush()

    def poll(self) -> int | None:
        return self._waited(os.WNOHANG)

    def wait(self, timeout: float | None = None) -> int:
        end = None if timeout is None else time.monotonic() + timeout
        while end is not None and self._waited(os.WNOHANG) is None:
            if time.monotonic() > end:
                raise subprocess.TimeoutExpired("worker", timeout or 0)
            time.sleep(0.01)
        found = self._waited(0)
        assert found is not None
        return found

    def _waited(self, options: int) -> int | None:
        if self.returncode is None:
            pid, status = os.waitpid(self.pid, options)
            if pid:
                self.returncode = os.waitstatus_to_exitcode(status)
        return self.returncode

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


def fork_workers() -> None:
    """From here on this process's workers are forked."""
    from graftlm.running import worker_process

    names = SimpleNamespace(
        Popen=Forked, DEVNULL=subprocess.DEVNULL, STDOUT=subprocess.STDOUT, TimeoutExpired=subprocess.TimeoutExpired
    )
    worker_process.subprocess = names  # type: ignore[assignment]
