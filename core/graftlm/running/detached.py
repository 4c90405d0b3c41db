"""``python -P -m graftlm.running.detached RUN``: the supervisor of a run that no terminal shows. torch-free.

It is in a session of its own, so that closing the terminal, or killing what started it, does not reach it. What it has
to say goes to ``RUN/supervisor.txt``, and how it ended to ``RUN/ended.json``.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from graftlm.contracts.errors import GraftlmError, RunError
from graftlm_registry.runs import Run, status_of
from graftlm_registry.runs.supervisor import Supervisor

from .stopping import catch_stops, number_of

OUTPUT = "supervisor.txt"
POLL = 0.02


def start_detached(run: Run) -> Supervisor | None:
    """Start one, and return when it holds the run's lock; None where it is finished already.

    Raises ``RunError`` with its last words where it left instead.
    """
    with (run.folder / OUTPUT).open("ab") as output:
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", "graftlm.running.detached", str(run.folder)],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        while process.poll() is None:
            held = run.supervisor()
            if held is not None and held.process == process.pid:
                process.returncode = 0  # it is nobody's child any more: Popen need not wait for it
                return held
            time.sleep(POLL)
    except BaseException:
        process.terminate()
        raise
    status = status_of(run)
    if status.state == "done":
        return None
    said = (run.folder / OUTPUT).read_text(encoding="utf-8", errors="replace").strip().splitlines()
    why = status.ending.message if status.ending else " ".join(said[-1:])
    raise RunError(f"the supervisor left with exit code {process.returncode}: {why or 'it said nothing'}")


def main() -> int:
    """Its exit code is what ``graftlm train`` would have had."""
    catch_stops()
    try:
        return _supervise(Run(Path(sys.argv[1])))
    except GraftlmError as error:
        _say(str(error))
        return error.exit_code
    except KeyboardInterrupt as stop:
        return 128 + number_of(stop)


def _supervise(run: Run) -> int:
    from graftlm_registry.plugins import registry

    from .supervise import supervise

    _say(f"{run.name} goes on here")
    trained = supervise(run, registry(), _on_event, detached=True)
    _say(f"kept as {trained.record.reference}")
    if trained.verdict is None:
        return 0
    _say(trained.verdict.said)
    return 0 if trained.verdict.passed else 1


def _on_event(event: Mapping[str, Any]) -> None:
    if event["event"] == "warning":
        _say(f"warning: {event['message']}")


def _say(text: str) -> None:
    with suppress(OSError):  # a full disk stops nothing
        print(f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S} {text}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
