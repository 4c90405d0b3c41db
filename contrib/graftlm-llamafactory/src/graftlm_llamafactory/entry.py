"""LLaMA-Factory's training entry. For its environment alone: it imports torch, transformers and all the rest."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from types import ModuleType


@contextmanager
def _sound() -> Iterator[None]:
    """LLaMA-Factory imports torchaudio with its data module, and calls it for sound files alone. Where it cannot be
    imported, an empty module stands for it until LLaMA-Factory is.
    """
    from transformers.utils import is_torchaudio_available

    is_torchaudio_available()  # transformers asks once, and must be told the truth
    if find_spec("torchaudio") is not None:
        yield
        return
    stand_in = ModuleType("torchaudio")
    stand_in.__spec__ = ModuleSpec("torchaudio", None)
    sys.modules["torchaudio"] = stand_in
    try:
        yield
    finally:
        del sys.modules["torchaudio"]


with _sound():
    from llamafactory.train.tuner import run_exp

__all__ = ["run_exp"]
