"""``python -m graftlm.worker JOB FOLDER --events FD``: carries out one job, and reports by events.

A job that stays for more is handed a second pipe, ``--requests FD``.
The job's own modules are imported late: a backend may have to be imported before torch.
"""

from __future__ import annotations

import argparse
import sys
import traceback
from contextlib import nullcontext, suppress
from importlib import import_module
from pathlib import Path

from graftlm.contracts.errors import GraftlmError, Interrupted, OutOfMemory, StoreError, public_name

JOBS = {
    "encode": ("encoding", "encode_job"),
    "initial": ("initial", "initial_job"),
    "train": ("training", "train_job"),
    "prove": ("proving", "prove_job"),
    "generate": ("answering", "generate_job"),
    "score": ("scoring", "score_job"),
    "harness": ("harness", "harness_job"),
    "merge": ("merging", "merge_job"),
    "rate": ("rate", "rate_job"),
    "fit": ("fitting", "fit_job"),
    "combine": ("combining", "combine_job"),
    "serve": ("serving", "serve_job"),
}
"""Module and function of each job."""
OF_A_RUN = ("initial", "train", "prove")
"""Jobs that work in a run's folder, and on its device."""


def main() -> int:
    parser = argparse.ArgumentParser(prog="graftlm.worker")
    parser.add_argument("--probe", action="store_true", help="say what this machine is, and leave")
    parser.add_argument("job", nargs="?", choices=tuple(JOBS))
    parser.add_argument("folder", nargs="?", type=Path)
    parser.add_argument("--events", type=int)
    parser.add_argument("--requests", type=int)
    given = parser.parse_args()
    if given.probe:
        from .probe import print_probe

        return print_probe()
    if given.job is None or given.folder is None or given.events is None:
        parser.error("give a job, a folder and --events")
    from .alone import alone
    from .events import PROTOCOL, Events
    from .unneeded import hide_unneeded

    events = Events(given.events)
    events.send("hello", protocol=PROTOCOL, python=sys.version.split()[0])
    try:
        hide_unneeded(given.folder, training=given.job == "train")
        module, name = JOBS[given.job]
        more = () if given.requests is None else (given.requests,)
        with alone(given.folder, events) if given.job in OF_A_RUN else nullcontext():
            getattr(import_module(f"graftlm.worker.{module}"), name)(given.folder, events, *more)
    except BaseException as error:  # noqa: BLE001 - the front must hear of everything
        if not isinstance(error, GraftlmError):
            traceback.print_exc()
        kind, message, code = _reported(error, given.folder)
        with suppress(Interrupted):  # nobody hears it
            events.send("failed", kind=kind, message=message, exit_code=code)
        return code
    return 0


def _reported(error: BaseException, folder: Path) -> tuple[str, str, int]:
    """Kind, message and exit code. A full disk comes in the words of whichever library met it."""
    if not isinstance(error, Interrupted) and not folder.is_dir():
        error = StoreError(f"{folder} is no longer there: bring it back, and go on with the run")
    elif "No space left on device" in f"{error} {error.__cause__}":
        error = StoreError("the disk is full: free some space")
    elif not isinstance(error, GraftlmError) and no_memory(error):
        error = OutOfMemory(_sentence(error))
    if isinstance(error, GraftlmError):
        return public_name(error), str(error), error.exit_code
    return type(error).__name__, _sentence(error), 1


NO_MEMORY = ("out of memory", "can't allocate memory", "cannot allocate memory", "bad_alloc", "not enough memory")
"""What torch, CUDA and the C++ library say, in lower case."""


def no_memory(error: BaseException) -> bool:
    """Whether the device or the machine had none left. torch has a class for a GPU alone."""
    said = f"{type(error).__name__}: {error}".lower()
    return isinstance(error, MemoryError) or "outofmemory" in said or any(words in said for words in NO_MEMORY)


def _sentence(error: BaseException) -> str:
    first = next((line for line in str(error).splitlines() if line.strip()), "")
    return f"{type(error).__name__}: {first}" if first else type(error).__name__


if __name__ == "__main__":
    sys.exit(main())
