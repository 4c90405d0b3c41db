"""Saving a run between two optimizer steps, and putting it back there: no pickle, to the last bit.

A checkpoint's folder has ``weights.safetensors`` (what is trained), ``state.safetensors`` and ``state.json`` (see
``states``: the optimizer, the generators, what a backend told of), ``course.json``, and the best weights so far.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from shutil import copyfile
from typing import Any

from safetensors.torch import load_file, save_file

from graftlm.contracts.job import TrainJob
from graftlm.contracts.serial import from_json, to_json
from graftlm_registry.home import replaced
from graftlm_registry.runs.checkpoints import Checkpoint, Checkpoints

from .adapt import write_initial
from .course import Course
from .events import Events
from .states import Packing, unpacked

BEST = "best.safetensors"


@dataclass(frozen=True, slots=True)
class Found:
    """A verified checkpoint, read: the course as it was, states by name, and where the weights are."""

    checkpoint: Checkpoint
    course: Course
    states: Mapping[str, Any]

    @property
    def weights(self) -> Path:
        return self.checkpoint.folder / "weights.safetensors"

    def bring_best(self, target: Path) -> None:
        """The best weights so far to where the run looks for them."""
        source = self.checkpoint.folder / BEST
        if source.is_file():
            target.parent.mkdir(exist_ok=True)
            with replaced(target) as fresh:  # never into a file that is a checkpoint's too
                copyfile(source, fresh)


class Checkpointing:
    """Knows when a checkpoint is due, writes it, and finds the newest one. ``plan`` is the plan's hash."""

    def __init__(self, run: Path, plan: str, job: TrainJob, events: Events) -> None:
        self._kept, self._plan, self._job, self._events = Checkpoints(run / "checkpoints"), plan, job, events
        self._saved = -1
        self._time = time.monotonic()

    def newest(self) -> Found | None:
        """None where the run does not resume, or has come to no checkpoint yet."""
        if not self._job.resumes:
            return None
        self._kept.sweep()
        checkpoint = self._kept.newest(self._plan, lambda why: self._events.warning(f"{why}: an earlier one is taken"))
        if checkpoint is None:
            return None
        tensors = load_file(checkpoint.folder / "state.safetensors")
        said = json.loads((checkpoint.folder / "state.json").read_bytes())
        course = from_json((checkpoint.folder / "course.json").read_bytes(), Course, "the run's course")
        self._saved = course.step
        return Found(checkpoint, course, {name: unpacked(state, tensors) for name, state in said.items()})

    def due(self, step: int) -> bool:
        """Whether one is to be written after ``step`` finished steps."""
        if not self._job.resumes:
            return False
        every, seconds = self._job.checkpoint_steps, self._job.checkpoint_seconds
        return bool(every and step % every == 0) or bool(seconds and time.monotonic() - self._time >= seconds)

    def save(self, course: Course, model: Any, states: Mapping[str, Any], best: Path | None) -> None:
        """Write one of a course that is further than the last. A disk that takes none is told, and the run goes on:
        the one before is still there.
        """
        if not self._job.resumes or course.step <= self._saved or model is None:
            return
        packing = Packing()
        said = {name: packing.packed(state, name) for name, state in states.items()}
        try:
            with self._kept.new(course.step, self._plan) as folder:
                write_initial(model, folder / "weights.safetensors")
                save_file(packing.tensors, folder / "state.safetensors")
                (folder / "state.json").write_text(json.dumps(said, allow_nan=False), encoding="utf-8")
                (folder / "course.json").write_bytes(to_json(course))
                if best is not None:
                    copyfile(best, folder / BEST)  # no link: one bad block must not damage every checkpoint
        except Exception as error:
            if not isinstance(error, OSError) and "os error" not in str(error).lower():
                raise
            last = f"the last one is of step {self._saved}" if self._saved > 0 else "there is none yet"
            self._events.warning(f"no checkpoint could be written after step {course.step}: {error}; {last}")
            self._time = time.monotonic()  # not again after each step
            return
        self._saved, self._time = course.step, time.monotonic()
        self._events.send("checkpoint", step=course.step)
