"""How much is computed at a time, where that is left open: by the memory that it would take."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace

from graftlm.contracts.config import AUTO
from graftlm.contracts.plan import MemoryPlan, TrainingPlan

from .settings import Settings

MOST_TOKENS = 16_384
"""Tokens of a forward pass: a device is busy with far fewer, and activations go with them."""
GIB = 1 << 30

Reckon = Callable[[TrainingPlan], MemoryPlan | None]


@dataclass(frozen=True, slots=True)
class Sized:
    """A training that was made to fit. ``chosen`` are the settings that nobody gave, ``notes`` say why."""

    training: TrainingPlan
    memory: MemoryPlan | None
    chosen: dict[str, int | bool] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


def sized(training: TrainingPlan, sizes: Sequence[int], settings: Settings, reckon: Reckon) -> Sized:
    """``training`` has the usual micro-batch, and activations computed twice where that was asked for; ``sizes`` are
    the micro-batches that there may be, the largest first. As it is, where no estimate is to be had.

    A number that was asked for stays. ``auto`` is the largest micro-batch that fits; an open one the usual, where it
    fits. Activations are computed twice where one sample fits with that and does not without, and nobody said whether
    they are.
    """
    plain = reckon(training)
    if plain is None or not plain.available:
        unknown = "what it takes is not reckoned for this method and model" if plain is None else "there is no telling"
        said = f"micro-batch {training.micro_batch} (auto could not choose by the memory: {unknown})"
        return Sized(training, plain, notes=(said,) if settings["micro_batch"] == AUTO else ())
    found = _Search(training, sizes, settings, reckon, plain)
    return found.result()


class _Search:
    def __init__(
        self, training: TrainingPlan, sizes: Sequence[int], settings: Settings, reckon: Reckon, plain: MemoryPlan
    ) -> None:
        self._training, self._settings, self._plain = training, settings, plain
        self._reckon = reckon
        self._auto = settings["micro_batch"] == AUTO
        self._fixed = settings.asked("micro_batch") and not self._auto
        usual = training.micro_batch
        open_to = sizes if self._auto else [usual, *(n for n in sizes if n < usual)]
        self._sizes = [usual] if self._fixed else open_to
        self._why = ""

    def result(self) -> Sized:
        twice, notes = self._twice()
        micro = self._largest(twice)
        training = self._with(micro, twice)
        chosen: dict[str, int | bool] = {}
        if twice and notes:
            chosen["gradient_checkpointing"] = True
        if micro != self._training.micro_batch and not self._auto:
            chosen["micro_batch"] = micro
        if self._auto or "micro_batch" in chosen:
            notes = (*notes, f"micro-batch {micro} (auto: {self._why or 'the largest that there can be'})")
        return Sized(training, self._reckon(training), chosen, notes)

    def _twice(self) -> tuple[bool, tuple[str, ...]]:
        """Whether activations are computed twice, and why, where nobody said so."""
        if self._settings.origins["gradient_checkpointing"] != "default":
            return self._training.gradient_checkpointing, ()
        least, with_it = (self._memory(1, twice) for twice in (False, True))
        if least.fits or not with_it.fits:
            return self._training.gradient_checkpointing, ()
        return True, (
            f"gradient checkpointing (auto: one sample would need {_gib(least.total)} of {_gib(least.available)} "
            f"without it, and {_gib(with_it.total)} with it)",
        )

    def _largest(self, twice: bool) -> int:
        """The largest micro-batch that fits; why not a larger one, is kept. Where none does, the smallest, if that was
        asked for: else nothing is gained by another than the usual.
        """
        for size in self._sizes[:-1]:
            memory = self._memory(size, twice)
            against = next(self._against(size, memory), "")
            if not against:
                return size
            if self._auto or not self._why:  # by itself the next larger one, else the one that is usual
                self._why = against
        least = self._sizes[-1]
        return least if self._auto or self._memory(least, twice).fits else self._training.micro_batch

    def _against(self, size: int, memory: MemoryPlan) -> Iterator[str]:
        if not memory.fits:
            yield f"{size} would need {_gib(memory.total)} of {_gib(memory.available)}"
        if self._auto and memory.positions > MOST_TOKENS:
            yield f"{size} would be {memory.positions:,} tokens a pass, and at most {MOST_TOKENS:,} are taken"

    def _with(self, micro: int, twice: bool) -> TrainingPlan:
        return replace(self._training, micro_batch=micro, gradient_checkpointing=twice)

    def _memory(self, micro: int, twice: bool) -> MemoryPlan:
        found = self._reckon(self._with(micro, twice))
        assert found is not None  # it was reckoned before, and sizes do not matter to whether it can be
        return found


def _gib(size: int) -> str:
    return f"{size / GIB:.1f} GiB"
