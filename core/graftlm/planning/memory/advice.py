"""What would make a run fit, each way reckoned by the estimate itself."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import combinations

from .cell import Cell

Total = Callable[[Cell], int]
NF4 = 4.127
"""Bits of a weight in bitsandbytes' NF4 with its scales quantized: 4 + 8 / 64 + 32 / (64 · 256)."""
RANK = 16
"""The rank that LoRA is reckoned with."""
SHORTER = (0.75, 0.5)
"""Shares of a length: with less, most of what samples say would be lost."""
STEP = 64
"""Lengths are advised in these, and none that is shorter."""
GIB = 1 << 30


Way = Callable[[Cell], Iterator[tuple[str, Cell]]]
"""A flag with its values, mildest first, and what each makes of a cell."""


def advice(cell: Cell, available: int, total: Total) -> tuple[str, ...]:
    """Flags as a sentence: the first that is enough by itself, else the fewest together, harmless ones first."""
    least = total(cell)
    for number in range(1, len(WAYS) + 1):
        for ways in combinations(WAYS, number):
            for flags, changed in _applied(cell, ways):
                taken = total(changed)
                least = min(least, taken)
                if taken <= available:
                    return (f"{' '.join(flags)} would make it fit, with about {taken / GIB:.1f} GiB",)
    return (f"whatever is chosen, it needs about {least / GIB:.1f} GiB: take a smaller model",)


def _applied(cell: Cell, ways: tuple[Way, ...]) -> Iterator[tuple[tuple[str, ...], Cell]]:
    """Of an invasive way the mildest value that there is, whatever the harmless ones before it take."""
    if not ways:
        yield (), cell
        return
    for flag, changed in ways[-1](cell):
        for flags, whole in _applied(changed, ways[:-1]):
            yield (*flags, flag), whole


def _checkpointing(cell: Cell) -> Iterator[tuple[str, Cell]]:
    if not cell.checkpointing:
        yield "--gradient-checkpointing", replace(cell, checkpointing=True)


def _micro_batch(cell: Cell) -> Iterator[tuple[str, Cell]]:
    for samples in range(cell.samples // 2, 0, -1):
        if cell.samples % samples == 0:  # the batch must be made of whole ones
            yield f"--micro-batch {samples}", replace(cell, samples=samples, accumulates=True)


def _max_length(cell: Cell) -> Iterator[tuple[str, Cell]]:
    for share in SHORTER:
        tokens = int(cell.tokens * share) // STEP * STEP
        if tokens:
            yield f"--max-length {tokens}", replace(cell, tokens=tokens)


def _bf16(cell: Cell) -> Iterator[tuple[str, Cell]]:
    if cell.load.dtype == "fp32":
        yield "--dtype bf16", replace(cell, load=replace(cell.load, dtype="bf16"))


def _nf4(cell: Cell) -> Iterator[tuple[str, Cell]]:
    if not cell.bits and not cell.overlay and not cell.shape.experts:  # fused experts would stay as they are
        yield "--quantization nf4", replace(cell, bits=NF4, load=replace(cell.load, quantization="nf4"))


def _lora(cell: Cell) -> Iterator[tuple[str, Cell]]:
    if cell.overlay:
        targets = cell.facts.default_targets or cell.facts.attention
        adapted = [layer for layer in cell.shape.linear if layer.name in targets]
        trained = sum(RANK * (layer.inputs + layer.outputs) * layer.count for layer in adapted)
        yield "--method lora", replace(cell, overlay=False, trained=trained, targets=targets)


WAYS: tuple[Way, ...] = (_checkpointing, _micro_batch, _max_length, _bf16, _nf4, _lora)
"""From harmless to invasive."""
