"""What autograd keeps of a forward pass, operation by operation as transformers' and PEFT's code has them.

- A norm keeps its input, in fp32 whatever the precision (RMS norms compute in it).
- A frozen linear layer keeps nothing of its input, an adapted one keeps it for ``lora_A`` or its own weights. In fp32
  layers that read the same tensor share it; under autocast each has a cast copy of its own.
- Fused attention keeps its queries, keys, values and output, and a mask as numbers, which is one for each layer. In a
  packed row it takes a sample at a time: keys are repeated, outputs put together, and there is no mask. (On a CPU
  ``varlen`` repeats no keys, and has fp32 copies of one layer's instead: reckoned alike.)
- A gated MLP keeps the gate before and after its activation, and what it is multiplied with.
"""

from __future__ import annotations

from dataclasses import dataclass

from .cell import FP32, Cell

AGAIN = 1.5
"""A layer that is computed again, and the gradients of its own activations beside it."""
GATED = 1.5
"""A gated MLP makes twice what its last layer reads, another one just that."""


@dataclass(frozen=True, slots=True)
class Kept:
    """Bytes: ``whole`` from the forward pass on, ``recomputed`` for one layer at a time, with checkpointing."""

    whole: int
    recomputed: int = 0


def kept(cell: Cell) -> Kept:
    """What the layers keep for the backward pass, the logits aside."""
    shape = cell.shape
    layers = cell.positions * _per_token(cell) + _masks(cell) + _scores(cell)
    rest = cell.positions * _end(cell) + _casts(cell)
    if not cell.checkpointing:
        return Kept(int(layers * cell.depth + rest))
    inputs = cell.positions * shape.hidden * cell.width * shape.layers * cell.depth
    return Kept(int(inputs + rest), int(AGAIN * layers / shape.layers))


def _per_token(cell: Cell) -> float:
    """Of all layers together."""
    return _norms(cell) + _inputs(cell) + _attention(cell) + _mixers(cell) + _mlp(cell) + _experts(cell)


def _end(cell: Cell) -> int:
    """The last norm, and the head where it is trained."""
    return cell.shape.hidden * (FP32 + (FP32 + cell.width) * cell.overlay)


def _casts(cell: Cell) -> int:
    """Autocast keeps a copy of every trained weight that it casts until the pass is over."""
    shape = cell.shape
    uncast = 0
    if cell.overlay and cell.depth == 1:  # embeddings are looked up, and fused experts multiplied, as they are
        uncast = shape.experts + (0 if shape.tied else shape.embedding)
    return max(0, cell.trained - uncast) * cell.width if cell.width < FP32 else 0


def _gated(cell: Cell) -> bool:
    return bool(cell.shape.experts) or _mlp_inside(cell) > GATED * _mlp_read(cell)


def _norms(cell: Cell) -> float:
    """An MLP without a gate goes with layer norms: they keep their input as it is, and need no more where they are
    trained.
    """
    shape = cell.shape
    per_layer = max(1, (shape.other - shape.hidden) // (shape.layers * shape.hidden))
    if not _gated(cell):  # each has a bias as well; Falcon with shared keys has attention and MLP beside each other
        norms = 1 if shape.kv_heads < shape.heads else max(1, per_layer // 2)
        return shape.layers * norms * shape.hidden * cell.width
    scalars = shape.layers * (2 if shape.experts else min(per_layer, MOST_NORMS)) * shape.hidden
    if _head_norms(cell):
        scalars += shape.layers * (shape.heads + shape.kv_heads) * shape.head_dim
    return scalars * FP32 * (2 if cell.overlay else 1)  # a trained weight keeps what it is multiplied with


MOST_NORMS = 4
"""Norms of a layer: what is in ``other`` beyond these is something else."""


def _head_norms(cell: Cell) -> bool:
    """Whether queries and keys are normed: there is a weight of a head's size for each, in every layer."""
    shape = cell.shape
    rest, per_layer = shape.other - shape.hidden, shape.layers * shape.hidden
    if shape.experts:  # the routers are in there too, whole multiples of the hidden size
        return rest % shape.hidden == 2 * shape.layers * shape.head_dim % shape.hidden != 0
    return rest % per_layer == 2 * shape.layers * shape.head_dim


def _writer(cell: Cell, role: tuple[str, ...]) -> str:
    """The name of the layer of a role that writes to the residual stream; empty where there is none."""
    names = [layer.name for layer in cell.linear(role) if layer.outputs == cell.shape.hidden]
    return names[-1] if names else ""


def _inputs(cell: Cell) -> float:
    """Inputs of adapted layers, and what ``lora_A`` makes of them."""
    total = 0.0
    for role in (cell.facts.attention, cell.facts.mlp):
        last = _writer(cell, role)
        if cell.load.quantization == "int8" and cell.width < FP32:  # bitsandbytes keeps inputs that are not cast
            read = {layer.inputs: layer.count for layer in cell.linear(role)}
            total += sum(inputs * count for inputs, count in read.items())
        shared: dict[int, int] = {}
        for layer in filter(cell.adapted, cell.linear(role)):
            if cell.width < FP32:
                total += layer.inputs * layer.count
            elif layer.name != last:
                shared[layer.inputs] = max(layer.count, shared.get(layer.inputs, 0))
            elif role is cell.facts.mlp:  # what attention puts out is kept by itself
                total += layer.inputs * layer.count
        total += sum(inputs * count for inputs, count in shared.items())
    return (total + _ranks(cell)) * cell.width


def _ranks(cell: Cell) -> float:
    """The outputs of every ``lora_A``, whose rank follows from what is trained."""
    adapted = [layer for layer in cell.shape.linear if layer.name in cell.targets]
    sides = sum((layer.inputs + layer.outputs) * layer.count for layer in adapted)
    return cell.trained / sides * sum(layer.count for layer in adapted) if sides else 0.0


def _attention(cell: Cell) -> float:
    shape = cell.shape
    queries, keys = shape.heads * shape.head_dim, shape.kv_heads * shape.head_dim
    joined = 0
    if cell.packed and not cell.load.attention.startswith("flash_attention"):  # a sample at a time, then put together
        keys, joined = queries, queries
    if cell.padded:  # fused kernels take no mask with keys that queries share: they are repeated
        keys = queries
    if _unfused(cell):
        return shape.layers * (queries * (FP32 + cell.width) + 2 * keys * FP32)
    return shape.layers * ((2 * (queries + keys) + joined) * cell.width + shape.heads * FP32)


MIXED = 10
"""fp32 scalars for each output of a projection into a state space or a linear attention, by transformers' plain code.
Between 6 and 16 were measured, with what a shape does not tell (states, chunks): a rough figure."""


def _mixers(cell: Cell) -> float:
    """What mixes tokens otherwise than attention: it is fed by projections that are no queries, keys and values."""
    shape = cell.shape
    queries, keys = shape.heads * shape.head_dim, shape.kv_heads * shape.head_dim
    known = (shape.hidden, queries, 2 * queries, keys, queries + 2 * keys)  # gated queries come twice as wide
    found = [x for x in shape.linear if x.name not in cell.facts.mlp and x.inputs == shape.hidden]
    return sum(layer.outputs * layer.count for layer in found if layer.outputs not in known) * MIXED * FP32


def _unfused(cell: Cell) -> bool:
    """Falcon hands a single key head to torch as it is, which no fused kernel takes; it knows no other attention."""
    alone = cell.shape.kv_heads == 1 < cell.shape.heads and "flex_attention" not in cell.facts.attention_implementations
    return alone and not cell.load.attention.startswith("flash_attention")


def _scores(cell: Cell) -> int:
    """Where no fused kernel computes attention, each head's probabilities are kept in fp32, eager ones cast as well."""
    eager = cell.load.attention == "eager"
    if not eager and not _unfused(cell):
        return 0
    width = FP32 + (cell.width if eager and cell.width < FP32 else 0)
    return cell.shape.layers * cell.shape.heads * cell.samples * cell.tokens**2 * width


def _masks(cell: Cell) -> int:
    """Falcon makes one in any case."""
    always = "flex_attention" not in cell.facts.attention_implementations
    if not (cell.padded or always) or _unfused(cell) or cell.load.attention != "sdpa":
        return 0
    return cell.shape.layers * cell.samples * cell.tokens**2 * cell.width


def _mlp_inside(cell: Cell) -> int:
    last = _writer(cell, cell.facts.mlp)
    return sum(layer.outputs * layer.count for layer in cell.linear(cell.facts.mlp) if layer.name != last)


def _mlp_read(cell: Cell) -> int:
    last = _writer(cell, cell.facts.mlp)
    return sum(layer.inputs * layer.count for layer in cell.linear(cell.facts.mlp) if layer.name == last)


def _mlp(cell: Cell) -> float:
    """What is before the activation; and, where it is a gate, after it, for the product."""
    return (_mlp_inside(cell) + (_mlp_read(cell) if _gated(cell) else 0)) * cell.width


def _experts(cell: Cell) -> float:
    """Of each expert that a token meets: what a gated MLP keeps, and its answer; its inputs where it is trained."""
    shape = cell.shape
    if not shape.experts:
        return 0.0
    inside = shape.active_experts / (3 * shape.hidden)
    routers = (shape.other - shape.hidden) / shape.hidden - 2 * shape.layers  # one output an expert
    answers = max(1.0, routers * shape.active_experts / shape.experts) * shape.hidden
    if cell.overlay:  # autocast passes them by, and their weights are fp32
        return (4 * inside + 2 * answers) * FP32
    return (3 * inside + answers) * cell.width
