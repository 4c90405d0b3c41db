"""The best weights of a run by validation loss, and the end of a run that no longer gets better."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from safetensors.torch import load_file

from graftlm.contracts.errors import RunError
from graftlm.contracts.plan import TrainingPlan

from .adapt import write_initial
from .effective import place


class Best:
    """``stopped``: there were as many validations without a better loss as the plan allows. ``step`` is that of the
    lowest loss, 0 before there is one.
    """

    def __init__(self, training: TrainingPlan, file: Path) -> None:
        self._training, self._file = training, file
        self._loss, self._waited = float("inf"), 0
        self.step, self.stopped = 0, False

    def validated(self, step: int, loss: float, model: Any) -> None:
        """Keep what is trained where the loss is lower than ever."""
        if loss < self._loss:
            self._loss, self._waited, self.step = loss, 0, step
            if self._training.keep == "best":
                write_initial(model, self._file)
            return
        self._waited += 1
        self.stopped = 0 < self._training.early_stopping <= self._waited

    def put_back(self, model: Any, steps: int) -> int:
        """The step whose weights ``model`` has from here on: the best one's where they are to be kept, else the last
        of ``steps``.
        """
        if self._training.keep != "best" or self.step == steps:
            return steps
        if not self.step:
            raise RunError("the best weights are to be kept, and the backend let nothing be validated")
        place(model, load_file(self._file))
        return self.step
