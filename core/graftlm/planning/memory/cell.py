"""What is trained, and on what: the numbers that every part of an estimate is reckoned from."""

from __future__ import annotations

from dataclasses import dataclass

from graftlm.contracts.load import LoadPlan
from graftlm.contracts.model import FamilyFacts, LinearShape, ModelShape

FP32 = 4
ADAMW = 2 * FP32
"""Bytes of AdamW's two moments."""
WIDTHS = {"fp32": FP32, "bf16": 2, "fp16": 2}
"""Bytes of a scalar."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """``bits`` are of a quantized weight, 0 where none is; ``trained`` counts scalars; ``targets`` are the adapted
    modules. A micro-batch is ``samples`` rows padded to ``tokens``, of which the share ``answered`` is trained;
    ``accumulates``: there are several to an optimizer step. ``stored`` is the precision of the files. ``state_bytes``
    are the optimizer's a trained scalar.

    ``longest`` are the longest samples, the longest first, where those of a micro-batch lie in one row without padding;
    empty where they are padded. ``logits`` are the bytes of logits in fp32 that are there at once, 0 for all of them.
    """

    facts: FamilyFacts
    shape: ModelShape
    load: LoadPlan
    bits: float
    trained: int
    overlay: bool
    samples: int
    tokens: int
    checkpointing: bool
    device: str
    targets: tuple[str, ...] = ()
    answered: float = 1.0
    accumulates: bool = True
    stored: str = "bf16"
    longest: tuple[int, ...] = ()
    logits: int = 0
    state_bytes: float = ADAMW

    @property
    def width(self) -> int:
        """Bytes of a scalar that is computed."""
        return WIDTHS[self.load.dtype]

    @property
    def packed(self) -> bool:
        return bool(self.longest)

    @property
    def positions(self) -> int:
        """Of the largest micro-batch. Rows that are not among the known ones are taken as long as the half of these:
        they are chosen by their bytes, and the last of them may be no longer than others.
        """
        if not self.packed:
            return self.samples * self.tokens
        sure = self.longest[: (len(self.longest) + 1) // 2]
        known = [min(length, self.tokens) for length in sure[: self.samples]]
        return sum(known) + (self.samples - len(known)) * min(sure[-1], self.tokens)

    @property
    def padded(self) -> bool:
        """Samples of one micro-batch differ in length, and a mask says where each ends; a single one needs none."""
        return self.samples > 1 and not self.packed

    @property
    def depth(self) -> float:
        """The share of the layers whose activations are kept: gradients stop below the first that is trained."""
        shape = self.shape
        layers = shape.in_linear + shape.experts + max(0, shape.other - shape.hidden)
        return min(1.0, self.trained / layers) if self.overlay and layers else 1.0

    def adapted(self, layer: LinearShape) -> bool:
        """Whether the layer's input is kept for a gradient of weights."""
        return self.overlay or layer.name in self.targets

    def linear(self, role: tuple[str, ...]) -> tuple[LinearShape, ...]:
        return tuple(layer for layer in self.shape.linear if layer.name in role)
