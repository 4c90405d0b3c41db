"""What the logits take, and what the loss makes of them."""

from __future__ import annotations

from .cell import FP32, Cell


def logits(cell: Cell) -> int:
    """The most bytes at one moment, of three: the loss has gathered the trained positions in fp32 and keeps their
    log-probabilities; its gradient is made beside these; the gradient of all logits is put together.
    """
    every = cell.positions * cell.shape.vocabulary
    trained = int(every * cell.answered)
    loss = every * cell.width + 2 * trained * FP32
    gradient = 3 * trained * FP32
    gathered = trained * cell.width + 2 * every * cell.width
    return max(loss, gradient, gathered)
