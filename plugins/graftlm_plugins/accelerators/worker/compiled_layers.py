"""What ``compile`` does to a model: its decoder layers compiled in place, for sequences of any length.

The layers stay the modules that they are, with the names of their parameters, hooks and checkpointing: only what calls
them is compiled, and put back afterwards.
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
        self._compiler, self._happened = context.options["compiler"], context.happened
        if not self._layers:
            raise RunError("compile: this model has no decoder layers that transformers knows: leave it out")
        if self._compiler == "inductor" and context.device == "cpu":
            _check_compiler()

    def __enter__(self) -> None:
        self._stack = ExitStack()
        self._stack.enter_context(torch._dynamo.config.patch(recompile_limit=VARIANTS))
        self._breaks = _breaks()
        self._happened |= {"layers": len(self._layers), "graphs": 0, "recompilations": 0, "graph breaks": 0}
        callback_handler.register_start_callback(self._begun)
        callback_handler.register_end_callback(self._ended)
        for layer in self._layers:
            layer.compile(dynamic=True, backend=self._compiler)

    def __exit__(self, *_: object) -> None:
        for layer in self._layers:
            del layer._compiled_call_impl
        callback_handler.remove_start_callback(self._begun)
        callback_handler.remove_end_callback(self._ended)
        self._stack.close()
        torch._dynamo.reset()  # what was compiled, and its memory, is let go of

    def _begun(self, given: Any) -> None:
        """A frame is compiled: for the first time where its identity, frame/version, ends in 0."""
        if given.callback_trigger.name == "DYNAMO":
            again = not given.compile_id.partition("/")[2].startswith("0")
            self._happened["recompilations" if again else "graphs"] += 1

    def _ended(self, _: Any) -> None:
        self._happened["graph breaks"] = _breaks() - self._breaks


def _breaks() -> int:
    return sum(counters["graph_break"].values())


def _check_compiler() -> None:
    from torch._inductor.cpp_builder import get_cpp_compiler
    from torch._inductor.exc import InvalidCxxCompiler

    try:
        get_cpp_compiler()
    except InvalidCxxCompiler as error:
        raise RunError("compile: torch finds no C++ compiler here: install one, or leave it out") from error
