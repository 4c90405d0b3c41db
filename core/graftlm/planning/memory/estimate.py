"""The whole estimate: the parts, and the moment at which they take the most together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from graftlm.contracts.errors import ModelError
from graftlm.contracts.load import LoadPlan
from graftlm.contracts.model import FamilyFacts
from graftlm.contracts.plan import MemoryPlan

from .activations import kept
from .advice import advice
from .cell import ADAMW, FP32, Cell
from .logits import logits as logits_of
from .weights import dequantized, masters, weights, widest

CPU_SPARE = 80 << 20
"""Buffers of the math libraries, their code, and small tensors whose memory malloc keeps."""
GPU_SPARE = 40 << 20
"""The workspaces of cuBLAS, as its documentation has them; not measured."""


def estimate(
    facts: FamilyFacts,
    *,
    load: LoadPlan,
    bits: float,
    trained: int,
    keeps: str,
    samples: int,
    tokens: int,
    checkpointing: bool,
    device: str,
    available: int,
    targets: Sequence[str] | None = None,
    answered: float = 1.0,
    accumulates: bool = True,
    stored: str = "bf16",
    longest: Sequence[int] = (),
    logits: int = 0,
    state_bytes: float = ADAMW,
) -> MemoryPlan:
    """What training takes at its peak in bytes, beside what imports take, and what would make it fit.

    ``samples`` are those of a micro-batch and ``tokens`` the padded length of the longest one; ``bits`` are of a
    quantized weight, 0 where none is quantized; ``trained`` counts scalars; ``keeps`` is ``adapter`` or ``overlay``.
    ``targets`` are the adapted modules (the family's own choice where it is None), ``answered`` the share of positions
    that are trained, ``accumulates`` whether an optimizer step has several micro-batches, ``stored`` the precision
    that the weights' files have, ``state_bytes`` the optimizer's bytes a trained scalar. ``longest`` are the lengths of
    the longest samples, the longest first, where those of a micro-batch are packed into one row, and ``logits`` the
    bytes of logits in fp32 that are there at once, 0 for those of every position. Raises ``ModelError`` where the
    family does not tell the model's shape.

    On a CPU the figures were measured (``benchmarks/memory.py``) with memory handed back at once, as a worker asks of
    malloc. On a GPU they are carried over: what autograd keeps, the loss, gradients and moments are the same there;
    the allocator's rounding, cuBLAS's workspaces and bitsandbytes' own buffers were not measured.
    """
    if facts.shape is None:
        raise ModelError("the memory that training takes cannot be told: the model's family says nothing of its shape")
    cell = Cell(
        facts=facts,
        shape=facts.shape,
        load=load,
        bits=bits,
        trained=trained,
        overlay=keeps == "overlay",
        samples=samples,
        tokens=tokens,
        checkpointing=checkpointing,
        device=device,
        targets=_targets(facts, keeps, targets),
        answered=answered,
        accumulates=accumulates,
        stored=stored,
        longest=tuple(longest),
        logits=logits,
        state_bytes=state_bytes,
    )
    plan = reckoned(cell, available)
    return plan if plan.fits else replace(plan, advice=advice(cell, available, lambda c: reckoned(c, available).total))


def _targets(facts: FamilyFacts, keeps: str, asked: Sequence[str] | None) -> tuple[str, ...]:
    if keeps == "overlay":
        return ()
    return tuple(asked) if asked is not None else facts.default_targets or facts.attention


def reckoned(cell: Cell, available: int) -> MemoryPlan:
    """Without advice. The total is less than the sum where not all of it is there at one moment."""
    held, at_rest = kept(cell), weights(cell)
    head = logits_of(cell)
    own, gradients, moments = masters(cell), cell.trained * FP32, int(cell.state_bytes * cell.trained)
    spare = CPU_SPARE if cell.device == "cpu" else GPU_SPARE
    steady = at_rest.resting + own + moments
    passing = held.whole + head if not held.recomputed else held.whole + max(head, held.recomputed)
    passing += dequantized(cell) + 2 * widest(cell)
    # without accumulation, gradients come as activations go
    training = steady + (gradients + passing if cell.accumulates else max(gradients, passing))
    return MemoryPlan(
        weights=at_rest.resting,
        trained=own,
        gradients=gradients,
        optimizer=moments,
        activations=held.whole + held.recomputed + dequantized(cell) + 2 * widest(cell),
        logits=head,
        total=max(training, at_rest.loading) + spare,
        available=available,
        samples=cell.samples,
        tokens=cell.tokens,
        positions=cell.positions,
    )
