"""How many parameters a method trains, from the model's shape alone: for the plan, before anything is loaded."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from graftlm.api import LinearShape, MethodPlan, ModelShape

Number = int | float
LAYER = re.compile(r"\\?\.(\d+)\\?\.")


def adapted_layers(shape: ModelShape, method: MethodPlan) -> Iterator[tuple[LinearShape, int, tuple[int, ...]]]:
    """The linear shapes that are targets, how many of each one layer has, and in which layers they are adapted.

    Layers of one name are taken to be spread evenly over the model's.
    """
    asked = method.options.get("layers_to_transform") or ()
    left_out = (*(method.options.get("exclude_modules") or ()), *(method.options.get("modules_to_save") or ()))
    for layer in shape.linear:
        if not any(layer.name == target.rpartition(".")[2] for target in method.target_modules):
            continue
        each = max(1, layer.count // shape.layers)
        layers = range(min(shape.layers, max(1, layer.count // each)))
        yield layer, each, tuple(i for i in layers if (not asked or i in asked) and not _out(left_out, layer.name, i))


def _out(left_out: tuple[str, ...], name: str, layer: int) -> bool:
    """Whether paths that are left out name such a layer: all of that name, or the one with a number."""
    mine = [LAYER.findall(path) for path in left_out if path.rpartition(".")[2] == name]
    return any(not numbers or int(numbers[0]) == layer for numbers in mine)


def by_pattern(patterns: Mapping[str, Number], name: str, layer: int, default: Number) -> Number:
    """What a mapping of patterns says of a module, as far as a name and a layer's number tell."""
    return next((value for key, value in patterns.items() if _meant(key, name, layer)), default)


def _meant(key: str, name: str, layer: int) -> bool:
    """By the whole expression, or by its layer's number and last part, where it has more parts than are known here."""
    if re.match(rf"(.*\.)?({key})$", f"layers.{layer}.{name}"):
        return True
    numbers, last = LAYER.findall(key), re.split(r"\\?\.", key.rstrip("$"))[-1]
    try:
        ends = re.fullmatch(last.lstrip("^"), name) is not None
    except re.error:  # a part of an expression that is cut within
        ends = False
    return ends and (not numbers or int(numbers[0]) == layer)


def lora(shape: ModelShape, method: MethodPlan) -> int:
    """Exact, where layers are alike and patterns name modules by their last part, or by layer and last part."""
    options, total = method.options, 0
    start = options["init_lora_weights"]
    again = 2 if method.parent and start in ("pissa", "olora") else 1  # what was kept has twice the rank
    for layer, each, layers in adapted_layers(shape, method):
        for index in layers:
            rank = int(by_pattern(options["rank_pattern"], layer.name, index, method.rank or 0)) * again
            one = rank * (layer.inputs + (0 if start == "mica" else layer.outputs))
            one += layer.outputs * (bool(options["use_dora"]) + bool(options["lora_bias"]))
            one += layer.outputs * (options["bias"] == "lora_only" and layer.bias)
            total += each * one
    if options["bias"] == "all":
        total += sum(layer.outputs * layer.count for layer in shape.linear if layer.bias)
    return total + saved(shape, options) + len(options["trainable_token_indices"]) * shape.hidden


def saved(shape: ModelShape, options: Mapping[str, Any]) -> int:
    """Parameters of modules that are trained whole: linear layers, embeddings, heads, and norms as a guess."""
    return sum(named(shape, name) for name in options.get("modules_to_save") or ())


def named(shape: ModelShape, path: str) -> int:
    """Parameters of the modules that a name or a path stands for."""
    last, numbers = path.rpartition(".")[2], LAYER.findall(f"{path}.")
    found = [layer for layer in shape.linear if layer.name == last]
    if found:
        count = sum(layer.parameters for layer in found)
        return count // shape.layers if numbers else count
    if last.isdecimal():
        return in_layers(shape, 1)
    if "emb" in last or "head" in last:
        return shape.embedding
    return shape.hidden


def in_layers(shape: ModelShape, layers: int) -> int:
    """Parameters of so many layers, which are taken to be alike; the last norm is in none of them."""
    whole = shape.in_linear + shape.experts + max(0, shape.other - last_norm(shape))
    return whole * min(layers, shape.layers) // shape.layers


def last_norm(shape: ModelShape) -> int:
    """A weight a dimension, or a bias as well: so that what else there is makes whole vectors of every layer."""
    sizes = (shape.hidden, 2 * shape.hidden)
    return next((size for size in sizes if (shape.other - size) % (shape.hidden * shape.layers) == 0), shape.hidden)


def full(shape: ModelShape, method: MethodPlan) -> int:
    return shape.parameters


def freeze(shape: ModelShape, method: MethodPlan) -> int:
    """Exact where all layers are alike."""
    modules = method.options["modules"]
    total = sum(named(shape, name) for name in modules) if modules else in_layers(shape, method.options["layers"])
    return total + shape.embedding * (1 if shape.tied else 2) * bool(method.options["embeddings"])


def each_layer(count: Callable[[int, int, int], int]) -> Callable[[ModelShape, MethodPlan], int]:
    """A counter of a method that trains ``count(inputs, outputs, rank)`` parameters for a layer."""

    def trained(shape: ModelShape, method: MethodPlan) -> int:
        patterns, total = method.options.get("rank_pattern") or {}, 0
        for layer, each, layers in adapted_layers(shape, method):
            for index in layers:
                rank = int(by_pattern(patterns, layer.name, index, method.rank or 0))
                total += each * count(layer.inputs, layer.outputs, rank)
        return total + saved(shape, method.options)

    return trained


def ia3(shape: ModelShape, method: MethodPlan) -> int:
    """A scale for each output, and for each input of the layers that are said to feed forward."""
    forward = {name.rpartition(".")[2] for name in method.options["feedforward_modules"]}
    each = (
        count * len(layers) * (layer.inputs if layer.name in forward else layer.outputs)
        for layer, count, layers in adapted_layers(shape, method)
    )
    return sum(each) + saved(shape, method.options)


def tokens(shape: ModelShape, method: MethodPlan) -> int:
    return len(method.options["token_indices"]) * shape.hidden


COUNTS: Mapping[str, Callable[[ModelShape, MethodPlan], int]] = {
    "beft": each_layer(lambda i, o, r: o),
    "deft": each_layer(lambda i, o, r: r * (i + o)),
    "delora": each_layer(lambda i, o, r: r * (i + o) + 1),
    "hira": each_layer(lambda i, o, r: r * (i + o)),
    "hra": each_layer(lambda i, o, r: r * i),
    "ia3": ia3,
    "loha": each_layer(lambda i, o, r: 2 * r * (i + o)),
    "miss": each_layer(lambda i, o, r: r * o),
    "shira": each_layer(lambda i, o, r: r * (i + o)),
    "trainable_tokens": tokens,
    "vera": each_layer(lambda i, o, r: r + o),
}
"""Of PEFT's other methods, those that are easily counted; biases are not."""
