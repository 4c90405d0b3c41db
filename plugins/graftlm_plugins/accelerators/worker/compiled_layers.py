"""What ``compile`` does to a model: its decoder layers compiled in place, for sequences of any length.

The layers stay the modules that they are, with the names of their parameters, hooks and checkpointing: only what calls
them is compiled, and put back afterwards. Where they are checkpointed, it is the parts of each that are compiled: a
layer in which an attention is not, torch would not compile together with its checkpoint at all.
"""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import torch
from torch._dynamo.callback import callback_handler
from torch._dynamo.utils import counters
from transformers.modeling_layers import GradientCheckpointingLayer

from graftlm.api import RunError

if TYPE_CHECKING:
    from graftlm.api import PatchContext

VARIANTS = 64
"""Versions that torch keeps of a function before it gives up: of layers of several kinds, and in validation."""


class CompiledLayers:
    """A patch of the stage ``adapter``."""

    def __init__(self, context: PatchContext) -> None:
        self._layers = [m for m in context.model.modules() if isinstance(m, GradientCheckpointingLayer)]
        checkpointed = any(layer.gradient_checkpointing for layer in self._layers)
        self._parts = [part for layer in self._layers for part in (layer.children() if checkpointed else (layer,))]
        self._compiler, self._happened = context.options["compiler"], context.happened
        if not self._layers:
            raise RunError("compile: this model has no decoder layers that transformers knows: leave it out")
        if self._compiler == "inductor" and context.device == "cpu":
            _check_compiler()

    def __enter__(self) -> None:
        self._stack = ExitStack()
        self._stack.enter_context(torch._dynamo.config.patch(recompile_limit=VARIANTS))
        self._before = _counted()
        self._happened |= {"layers": len(self._layers), "graphs": 0, "graph breaks": 0, "recompilations": 0}
        callback_handler.register_start_callback(self._begun)
        callback_handler.register_end_callback(self._ended)
        for part in self._parts:
            part.compile(dynamic=True, backend=self._compiler)

    def __exit__(self, *_: object) -> None:
        for part in self._parts:
            del part._compiled_call_impl
        callback_handler.remove_start_callback(self._begun)
        callback_handler.remove_end_callback(self._ended)
        self._stack.close()
        torch._dynamo.reset()  # what was compiled, and its memory, is let go of

    def _begun(self, given: Any) -> None:
        """A piece of code is compiled: for the first time where its identity, piece/version, ends in 0."""
        again = not given.compile_id.partition("/")[2].startswith("0")
        self._happened["recompilations"] += given.callback_trigger.name == "DYNAMO" and again

    def _ended(self, _: Any) -> None:
        for (name, before), now in zip(self._before.items(), _counted().values(), strict=True):
            self._happened[name] = now - before


def _counted() -> dict[str, int]:
    return {"graphs": counters["stats"]["unique_graphs"], "graph breaks": sum(counters["graph_break"].values())}


def _check_compiler() -> None:
    from torch._inductor.cpp_builder import get_cpp_compiler
    from torch._inductor.exc import InvalidCxxCompiler

    try:
        get_cpp_compiler()
    except InvalidCxxCompiler as error:
        raise RunError("compile: torch finds no C++ compiler here: install one, or leave it out") from error
