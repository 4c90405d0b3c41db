"""What weights take, at rest and while they are read."""

from __future__ import annotations

from dataclasses import dataclass

from .cell import FP32, WIDTHS, Cell


@dataclass(frozen=True, slots=True)
class Weights:
    """Bytes. ``resting``: as long as is trained. ``loading``: the most while they are read."""

    resting: int
    loading: int


def weights(cell: Cell) -> Weights:
    """On a CPU, safetensors files are mapped: their pages count for the process as long as a tensor lies in them, as
    those do that are neither quantized nor cast, nor experts, which files have apart and models in one tensor. A GPU
    gets copies, and the files' pages are not in its memory. What an overlay trains in fp32 takes the place of what was
    loaded.
    """
    shape, width = cell.shape, cell.width
    linear = shape.in_linear if cell.bits else 0
    frozen = max(0, shape.parameters - linear - (cell.trained if masters(cell) and cell.overlay else 0)) * width
    quantized = int(linear * cell.bits / 8)
    if cell.device != "cpu":
        return Weights(quantized + frozen, quantized + (shape.parameters - linear) * width)
    files = shape.parameters * WIDTHS[cell.stored]
    if cell.stored == cell.load.dtype:
        copied = quantized + shape.experts * width
        return Weights(copied + files if frozen else 0, copied + files + (masters(cell) if cell.overlay else 0))
    return Weights(quantized + frozen, quantized + (shape.parameters - linear) * width + files)


def masters(cell: Cell) -> int:
    """What is kept of trained weights in fp32: an adapter's own, and an overlay's where the base has another dtype."""
    if not cell.overlay:
        return cell.trained * FP32
    return 0 if cell.width == FP32 else cell.trained * FP32


def dequantized(cell: Cell) -> int:
    """torchao multiplies by a plain copy of each weight, which autograd keeps; bitsandbytes makes it again."""
    if not cell.load.quantization.startswith("torchao"):
        return 0
    return cell.shape.in_linear * cell.width


def widest(cell: Cell) -> int:
    """The plain copy of one weight, for as long as a product takes."""
    if not cell.bits:
        return 0
    return max(layer.inputs * layer.outputs for layer in cell.shape.linear) * cell.width
