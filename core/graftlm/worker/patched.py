"""What other libraries changed in a model: measured on the modules themselves, whoever did it and whatever it says."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator
from functools import partial
from types import BuiltinFunctionType, FunctionType, MethodType
from typing import Any

import torch

PLAIN = frozenset(
    ("torch", "transformers", "peft", "accelerate", "bitsandbytes", "torchao", "transformers_modules")
) | frozenset(sys.stdlib_module_names)
"""Packages whose code a model consists of where nobody patched it: quantized layers are counted elsewhere, and
``transformers_modules`` is code of the checkpoint."""


def patched(model: torch.nn.Module) -> dict[str, int]:
    """What computes in this model and comes from none of the plain packages, with how many modules have it.

    ``"MistralAttention.forward by unsloth.models.mistral"`` is the forward pass of a class, or of modules one by one;
    ``"MistralAttention.apply_qkv by …"`` a function that was put on modules for another to call; ``"Rotary by …"`` a
    class that was put in their place and left ``forward`` to a plain one. What a whole model carries besides its
    forward pass (ways to save it) computes nothing, and is left out. Functions that were changed in a library's
    namespace, such as a loss, are not seen: no module holds them.
    """
    counts: Counter[str] = Counter()
    for module in model.modules():
        counts.update(set(_found(module)))
    return dict(sorted(counts.items()))


def _found(module: torch.nn.Module) -> Iterator[str]:
    kind = type(module)
    forward = vars(module).get("forward", kind.forward)
    source = _source(forward)
    if source:
        yield f"{kind.__name__}.forward by {source}"
    elif _strange(kind.__module__):
        yield f"{kind.__name__} by {kind.__module__}"
    if hasattr(module, "save_pretrained"):  # a whole model
        return
    for name, value in vars(module).items():
        if name != "forward" and isinstance(value, FunctionType | MethodType | BuiltinFunctionType):
            source = _source(value)
            if source:
                yield f"{kind.__name__}.{name} by {source}"


def _source(function: Any) -> str:
    """The module of the outermost strange function, looked for below decorators, bindings and arguments filled in."""
    seen: set[int] = set()
    while function is not None and id(function) not in seen:
        seen.add(id(function))
        if isinstance(function, partial):
            function = function.func
            continue
        if isinstance(function, MethodType):
            function = function.__func__
            continue
        # what it says, and where it was written: a decorator bears the name of what it wraps
        for home in (getattr(function, "__module__", None), getattr(function, "__globals__", {}).get("__name__")):
            if home and _strange(str(home)):
                return str(home)
        function = getattr(function, "__wrapped__", None)
    return ""


def _strange(module: str) -> bool:
    return module.partition(".")[0] not in PLAIN
