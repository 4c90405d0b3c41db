"""What the logits take, and what the loss makes of them."""

from __future__ import annotations

from .cell import FP32, Cell


def logits(cell: Cell) -> int:
    """The most bytes at one moment, of three: the loss has gathered the trained positions in fp32 and keeps their
    log-probabilities; its gradient is made beside these; the gradient of all logits is put together.
    """
    if cell.logits:
        return _in_chunks(cell)
    return _at_once(cell, cell.positions * cell.shape.vocabulary, cell.answered)


def _in_chunks(cell: Cell) -> int:
    """Only of trained positions, and of these a part at a time; beside it the hidden states of all of them, their
    gradients, and these once more when they are put together. Where the head is trained, each chunk brings a gradient
    of the whole of it, and casts it anew.
    """
    trained = int(cell.positions * cell.answered)
    chunk = min(trained, max(1, cell.logits // (FP32 * cell.shape.vocabulary)))
    beside = 3 * trained * cell.shape.hidden * cell.width
    if chunk < trained and cell.overlay and cell.depth == 1:
        beside += cell.shape.vocabulary * cell.shape.hidden * (FP32 + (cell.width if cell.width < FP32 else 0))
    return _at_once(cell, chunk * cell.shape.vocabulary, 1) + beside


def _at_once(cell: Cell, every: int, answered: float) -> int:
    trained = int(every * answered)
    loss = every * cell.width + 2 * trained * FP32
    gradient = 3 * trained * FP32
    gathered = trained * cell.width + 2 * every * cell.width
    return max(loss, gradient, gathered)
