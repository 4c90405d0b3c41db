"""The arithmetic that a training step is, whatever computes it."""

from __future__ import annotations

from collections.abc import Sequence

from graftlm.contracts.model import ModelShape


def step_flops(shape: ModelShape, trained: int, keeps: str, lengths: Sequence[int]) -> float:
    """Floating-point operations of one optimizer step over samples of these lengths, in tokens.

    A product of matrices takes two operations a weight and token, forward and once more for the gradient of its
    inputs; ``trained`` weights take them a third time. Causal attention takes half of all pairs of tokens, and both
    sides of its products want gradients. Padding and what is computed twice to save memory is not counted: it is no
    progress.
    """
    tokens = sum(lengths)
    products = shape.active - (0 if shape.tied else shape.embedding)  # looking an embedding up is no product
    frozen = products + (trained if keeps == "adapter" else 0)
    width = shape.heads * shape.head_dim
    pairs = sum(length * length for length in lengths) / 2
    attention = 2 * 2 * shape.layers * width * pairs
    return 2 * 2 * frozen * tokens + 3 * attention + 2 * trained * tokens
