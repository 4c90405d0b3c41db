"""The order of samples, and their batches."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from itertools import islice, takewhile
from pathlib import Path
from typing import overload

import numpy as np
import torch

from graftlm.contracts.plan import Plan, TrainingPlan
from graftlm.contracts.services import Batch, Step
from graftlm.encoding.order import steps
from graftlm.encoding.rows import EncodedRows, load_rows
from graftlm.encoding.tokenizing import IGNORED
from graftlm_registry.home import replaced

Collate = Callable[[EncodedRows, Sequence[int]], Batch]


def draw_order(lengths: Sequence[int], training: TrainingPlan) -> list[list[int]]:
    """Samples of each optimizer step, by the rule that the plan counted them with."""
    found = steps(lengths, seed=training.seed, batch_size=training.batch_size, tokens_per_step=training.tokens_per_step)
    return list(islice(found, training.steps))


def known_order(plan: Plan, encoded: Path) -> list[list[int]]:
    """The run's order as it was drawn, else drawn now and written to ``encoded/order.json``: another release of numpy
    may draw another one. Within a step the longest samples come first, so that those of a micro-batch are about as
    long; a step's gradient is a sum over its samples, in any order.
    """
    path = encoded / "order.json"
    if path.is_file():
        order: list[list[int]] = json.loads(path.read_text(encoding="utf-8"))
        return order
    rows = load_rows(encoded / "train.safetensors")
    order = [sorted(step, key=rows.length, reverse=True) for step in draw_order(rows.lengths(), plan.training)]
    with replaced(path) as fresh:
        fresh.write_text(json.dumps(order), encoding="utf-8")
    return order


def collate(rows: EncodedRows, samples: Sequence[int]) -> Batch:
    """Right-padded ids, labels and mask, each ``int64[samples, longest]``."""
    longest = max(rows.length(i) for i in samples)
    ids = torch.zeros(len(samples), longest, dtype=torch.long)
    labels = torch.full_like(ids, IGNORED)
    mask = torch.zeros_like(ids)
    for place, sample in enumerate(samples):
        row_ids, row_labels = rows.row(sample)
        length = len(row_ids)
        ids[place, :length] = torch.from_numpy(row_ids.astype(np.int64))
        labels[place, :length] = torch.from_numpy(row_labels.astype(np.int64))
        mask[place, :length] = 1
    trained = sum(rows.trained(i) for i in samples)
    return Batch(ids=ids, labels=labels, mask=mask, tokens=int(mask.sum()), trained=trained)


def chunks(samples: Sequence[int], size: int) -> Iterator[Sequence[int]]:
    return (samples[i : i + size] for i in range(0, len(samples), size))


def collate_packed(rows: EncodedRows, samples: Sequence[int]) -> Batch:
    """One row, ``int64[1, total]``: positions start anew at each sample, whose first label is not trained."""
    ids, labels, positions = [], [], []
    for sample in samples:
        row_ids, row_labels = (torch.from_numpy(part.astype(np.int64)) for part in rows.row(sample))
        row_labels[0] = IGNORED  # it would be learned from the sample before
        ids.append(row_ids)
        labels.append(row_labels)
        positions.append(torch.arange(len(row_ids)))
    return Batch(
        ids=torch.cat(ids)[None],
        labels=torch.cat(labels)[None],
        mask=None,
        positions=torch.cat(positions)[None],
        tokens=sum(rows.length(i) for i in samples),
        trained=sum(rows.trained(i) for i in samples),
    )


class Steps(Sequence[Step]):
    """Optimizer steps, put together when they are asked for."""

    def __init__(
        self,
        rows: EncodedRows,
        order: list[list[int]],
        micro_batch: int,
        collate: Collate = collate,
        stopped: Callable[[], bool] = lambda: False,
        start: int = 0,
    ) -> None:
        self._rows, self._order, self._micro, self._collate = rows, order, micro_batch, collate
        self._stopped, self._start = stopped, start

    def __iter__(self) -> Iterator[Step]:
        """From where the run goes on, until it is to stop."""
        return (self[i] for i in takewhile(lambda _: not self._stopped(), range(self._start, len(self))))

    def __len__(self) -> int:
        return len(self._order)

    @overload
    def __getitem__(self, index: int) -> Step: ...
    @overload
    def __getitem__(self, index: slice) -> list[Step]: ...
    def __getitem__(self, index: int | slice) -> Step | list[Step]:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        batches = tuple(self._collate(self._rows, part) for part in chunks(self._order[index], self._micro))
        return Step(index=index, batches=batches, trained=sum(b.trained for b in batches))

    def tokens(self, index: int) -> int:
        """Real tokens of a step."""
        return sum(self._rows.length(i) for i in self._order[index])


class MicroBatches(Sequence[Batch]):
    """The same data, one forward pass at a time."""

    def __init__(self, rows: EncodedRows, order: list[list[int]], micro_batch: int, collate: Collate = collate) -> None:
        self._rows, self._collate = rows, collate
        self._parts = [part for samples in order for part in chunks(samples, micro_batch)]

    def __len__(self) -> int:
        return len(self._parts)

    @overload
    def __getitem__(self, index: int) -> Batch: ...
    @overload
    def __getitem__(self, index: slice) -> list[Batch]: ...
    def __getitem__(self, index: int | slice) -> Batch | list[Batch]:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        return self._collate(self._rows, self._parts[index])
