"""The best weights of a run by validation loss, and the end of a run that no longer gets better."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from safetensors.torch import load_file

from graftlm.contracts.errors import RunError
from graftlm.contracts.plan import TrainingPlan

from .adapt import write_initial
from .course import Course
from .effective import place


class Best:
    """Keeps ``best_step``, ``best_loss``, ``waited`` and ``stopped`` of a run's course, and the weights in ``file``."""

    def __init__(self, training: TrainingPlan, file: Path, course: Course) -> None:
        self._training, self._file, self.course = training, file, course

    @property
    def file(self) -> Path | None:
        """The weights of the best step, where they are kept and there are any."""
        return self._file if self._training.keep == "best" and self.course.best_step else None

    def validated(self, step: int, loss: float, model: Any) -> None:
        """Keep what is trained where the loss is lower than ever."""
        course = self.course
        if course.best_loss is None or loss < course.best_loss:
            course.best_loss, course.waited, course.best_step = loss, 0, step
            if self._training.keep == "best":
                write_initial(model, self._file)
            return
        course.waited += 1
        course.stopped = 0 < self._training.early_stopping <= course.waited

    def put_back(self, model: Any, steps: int) -> int:
        """The step whose weights ``model`` has from here on: the best one's where they are to be kept, else the last
        of ``steps``.
        """
        best = self.course.best_step
        if self._training.keep != "best" or best == steps:
            return steps
        if not best:
            raise RunError("the best weights are to be kept, and the backend let nothing be validated")
        place(model, load_file(self._file))
        return best
