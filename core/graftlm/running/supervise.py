"""Supervising a run: its workers one after the other, until its adapter is published, or it is left to be gone on with.

Everything here can be done again: what is encoded, trained or published already is found, and taken as it is.
"""

from __future__ import annotations

import errno
import json
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from graftlm.contracts.errors import (
    DataError,
    Diverged,
    GraftlmError,
    Interrupted,
    ModelError,
    OutOfMemory,
    RunError,
    StoreError,
    UsageError,
    WorkerDied,
)
from graftlm.contracts.outcome import Outcome
from graftlm.contracts.plan import Plan
from graftlm.contracts.record import AdapterRecord
from graftlm.contracts.serial import from_json, to_json
from graftlm_registry.adapters import open_store
from graftlm_registry.adapters.content import content_digest, content_files
from graftlm_registry.home import link, replaced
from graftlm_registry.plugins import Registry
from graftlm_registry.runs import Run
from graftlm_registry.runs.ending import Ending, forget_ending, write_ending
from graftlm_registry.runs.supervisor import supervising

from .backing_off import train_with_room
from .forgetting import Verdict, verdict
from .jobs import read_job
from .out_folder import written
from .record_draft import draft
from .rows import encode_rows
from .run_results import keep_results
from .standing import standing
from .stopping import interrupted
from .tracking import trackers
from .worker_process import OnEvent, StartWorker, run_worker

AT_ONCE = (DataError, ModelError, RunError, UsageError)
"""What a worker says of its plan: a run that came no further has nothing to go on with."""
KEPT = (WorkerDied, OutOfMemory)
"""Of these, failures that another try may not have."""
Also = Callable[[Plan, Outcome, Path], None]


@dataclass(frozen=True, slots=True)
class Trained:
    """A finished run: its outcome, the published record, and the run's folder. ``verdict`` is on what it forgot, where
    a limit was given.
    """

    outcome: Outcome
    record: AdapterRecord
    run: Path
    verdict: Verdict | None = None


def supervise(
    run: Run,
    registry: Registry,
    on_event: OnEvent,
    *,
    also: Also | None = None,
    start: StartWorker = run_worker,
    detached: bool = False,
) -> Trained:
    """Carry a run out, or go on with it, and publish its adapter. ``also`` may then add files to the run's folder.

    ``UsageError`` where it is finished, or another process supervises it. Where it is stopped or fails, what was done
    is kept, how it ended is written down, and the error says how to go on.
    """
    with supervising(run.folder, detached=detached):
        refuse_finished(run)
        first = not (run.folder / "events.jsonl").exists()
        try:
            forget_ending(run.folder)
            with trackers(run, registry, unfailing(on_event)) as followed:
                trained = _to_the_end(run, registry, followed.on_event, also, start)
                write_ending(run.folder, Ending(state="done"))
                followed.finish("done", trained.outcome)
        except KeyboardInterrupt as stop:
            raise _left(run, interrupted(stop), first) from None
        except GraftlmError as error:
            raise _left(run, error, first) from error.__cause__
        except OSError as error:
            raise _left(run, _of_the_disk(run, error), first) from error
        except BaseException as error:
            why = f"{type(error).__name__}: {error}"
            write_ending(run.folder, Ending(state="failed", message=why, exit_code=1))
            raise
        return trained


def unfailing(on_event: OnEvent) -> OnEvent:
    """The same, silent from the first time on that what it writes to takes no more: a terminal that is gone, a pipe
    that nobody reads, a full disk. A run is worth more than what is said of it.
    """
    silent = False

    def hear(event: Mapping[str, Any]) -> None:
        nonlocal silent
        if not silent:
            try:
                on_event(event)
            except OSError:
                silent = True

    return hear


def refuse_finished(run: Run) -> None:
    """``UsageError`` where nothing is left to do."""
    if run.finished:
        made = run.outcome()
        run.drop_work()  # its supervisor may not have come to that
        raise UsageError(f"run {run.name} is finished: it made {made.adapter if made else 'its adapter'}")
    if not (run.folder / "data").is_dir():
        raise UsageError(f"run {run.name} had done nothing when it failed, and cannot be gone on with: train again")


def _to_the_end(run: Run, registry: Registry, on_event: OnEvent, also: Also | None, start: StartWorker) -> Trained:
    plan, folder = run.plan(), run.folder
    open_store().prepare()  # one that cannot be written is told before anything runs
    encode_rows(plan, folder, on_event, start)
    done = train_with_room(plan, registry, folder, on_event, start)
    outcome = from_json(json.dumps(done["outcome"]), Outcome, "the worker's outcome")
    if outcome.plan_hash != plan.hash:
        raise StoreError("the worker carried out another plan: nothing was published")
    record = _publish(plan, outcome, folder)
    outcome = replace(outcome, adapter=record.reference, staged=str(open_store().path(record.reference)))
    keep_results(plan, outcome, run, on_event)
    if also is not None:
        also(plan, outcome, folder)
    if out := read_job(folder).out:
        _copy_out(Path(outcome.staged), Path(out), record)
    with replaced(folder / "outcome.json") as fresh:  # from here on there is nothing to go on with
        fresh.write_bytes(to_json(outcome))
    run.drop_work()
    return Trained(outcome, record, folder, verdict(plan, outcome.changes))


def _publish(plan: Plan, outcome: Outcome, folder: Path) -> AdapterRecord:
    """The record of the run's adapter: a new version, or the one that this run published before it was killed."""
    store = open_store()
    if not store.layout.version_file.is_file():
        raise StoreError(f"the store {store.root} is no longer there, and nothing was published: bring it back")
    staged = store.stage()
    try:
        for file in content_files(folder / "staged"):
            link(file, staged / file.name)
        return store.publish(staged, draft(plan, outcome, Path(plan.model.folder)))
    except OSError as error:
        raise StoreError(f"the adapter cannot be put into the store: {error.strerror or error}") from None
    finally:
        shutil.rmtree(staged, ignore_errors=True)


def _left(run: Run, error: GraftlmError, first: bool) -> GraftlmError:
    """The error, with what to do next; how the run ended is written down. ``first``: no worker of it was started before
    this time.
    """
    stopped = isinstance(error, Interrupted)
    why = str(error)
    if run.finished:  # nothing is left to do
        write_ending(run.folder, Ending(state="done"))
        return error
    write_ending(run.folder, Ending(state="stopped" if stopped else "failed", message=why, exit_code=error.exit_code))
    if not run.folder.is_dir():
        return error
    again = f"it goes on {standing(run)}: graftlm runs resume {run.name}"
    if stopped:
        made = _published(run)
        what = f"{made} is published, its results are not written yet" if made else "nothing was published"
        error.args = (f"{why}; {what}\n{again}",)
    elif isinstance(error, Diverged):
        error.args = (f"{why}\nNothing was published; what it did is kept: graftlm runs show {run.name}",)
    elif not (first and isinstance(error, AT_ONCE) and not isinstance(error, KEPT)) or run.checkpoints().steps():
        error.args = (f"{why}\nWhat was done is kept. Once that is mended, {again}",)
    else:  # its first worker said why, before it had done anything, and would say it again
        run.drop_work()
    return error


def _of_the_disk(run: Run, error: OSError) -> GraftlmError:
    """In a sentence."""
    if not run.folder.is_dir():
        return StoreError(f"{run.folder} is no longer there: bring it back, and go on with the run")
    where = f"{error.filename}: {error.strerror}" if error.filename else str(error)
    return StoreError("the disk is full: free some space" if error.errno == errno.ENOSPC else where)


def _published(run: Run) -> str:
    """The adapter of a run that was stopped after its last step, if it came so far."""
    if not (run.folder / "training.json").is_file():
        return ""
    records = open_store().records(lambda damaged: None)
    return next((record.reference for record in records if record.run == run.name), "")


def _copy_out(files: Path, out: Path, record: AdapterRecord) -> None:
    try:
        if out.is_dir() and content_files(out) and content_digest(out) == record.digest:
            return  # by a supervisor that came no further
        with written(out) as partial:
            for file in content_files(files):
                shutil.copyfile(file, partial / file.name)
    except (OSError, GraftlmError) as error:
        raise StoreError(f"{record.reference} is kept, but could not be written to {out}: {error}") from None
