"""Kernels that give the same bits each time."""

from __future__ import annotations

import os
from collections.abc import Callable
from importlib import import_module
from typing import Any

WORKSPACE = "CUBLAS_WORKSPACE_CONFIG"


def set_deterministic() -> Callable[[], None]:
    """Ask torch for deterministic kernels alone; call what is returned to set that back. Call it before CUDA is first
    used: cuBLAS reads its workspace then.
    """
    import torch

    filling: Any = import_module("torch.utils.deterministic")

    os.environ.setdefault(WORKSPACE, ":4096:8")
    before = torch.are_deterministic_algorithms_enabled(), filling.fill_uninitialized_memory
    torch.use_deterministic_algorithms(True)
    filling.fill_uninitialized_memory = False  # it finds bugs of kernels, at the price of another write

    def back() -> None:
        torch.use_deterministic_algorithms(before[0])
        filling.fill_uninitialized_memory = before[1]

    return back
