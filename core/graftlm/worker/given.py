"""What a model is really given in the first step, whatever its backend says."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import numpy as np

from graftlm.contracts.outcome import Given


class GivenIds:
    """Watches the input embeddings, through which ids enter every model, until ``found`` is asked."""

    def __init__(self, planned: Sequence[Sequence[int]]) -> None:
        self._planned = planned
        self._rows: list[Any] = []
        self._handle: Any = None

    def watch(self, model: Any) -> None:
        with suppress(AttributeError, NotImplementedError):  # code of a checkpoint may not tell its embeddings
            self._handle = model.get_input_embeddings().register_forward_pre_hook(self._take)

    def _take(self, module: Any, arguments: tuple[Any, ...]) -> None:
        watching = self._handle is not None  # compiled code may keep a hook that was removed
        if watching and arguments and module.training:  # a backend that validates first gives other rows
            ids = arguments[0].detach()
            self._rows += list(ids.reshape(-1, ids.shape[-1]).cpu().numpy().astype(np.int64))

    def found(self) -> Given:
        """``planned`` where each planned sample was given once, in any order and packing, and nothing but one filler
        beside them.
        """
        if self._handle is not None:
            self._handle.remove()
            self._handle = None
        if not self._rows:
            return "unseen"
        rows, self._rows = [row.copy() for row in self._rows], []
        for sample in sorted(self._planned, key=len, reverse=True):  # a short one may be a part of a long one
            if not _take_out(rows, np.asarray(sample, dtype=np.int64)):
                return "other"
        left = {token for row in rows for token in row.tolist()} - {TAKEN}
        return "other" if len(left) > 1 or _preceded(rows) else "planned"


TAKEN = -1


def _preceded(rows: Sequence[Any]) -> bool:
    """Whether samples have a token more before them: fillers are on one side of the rows, and not as many in each."""
    before, after = ([int(np.argmax(row[::way] == TAKEN)) for row in rows] for way in (1, -1))
    return (any(before) and any(after)) or (len(rows) > 1 and before[0] > 0 and len(set(before)) == 1)


def _take_out(rows: list[Any], sample: Any) -> bool:
    """Whether the sample stands in one of the rows, where it is crossed out."""
    for row in rows:
        for start in np.flatnonzero(row[: len(row) - len(sample) + 1] == sample[0]):
            place = slice(start, start + len(sample))
            if np.array_equal(row[place], sample):
                row[place] = TAKEN
                return True
    return False
