"""Every generator of random numbers that a run draws from, and their states."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import torch


class Draws:
    """torch's generators (CPU and the run's device), numpy's and Python's global ones, and those made by ``own``."""

    def __init__(self, device: str, seed: int) -> None:
        self._device, self._seed = device, seed
        self._own: list[torch.Generator] = []

    def own(self) -> torch.Generator:
        """A generator on the device; the first, second … that a run makes are the same in each of its processes."""
        made = torch.Generator(self._device).manual_seed(self._seed)
        self._own.append(made)
        return made

    def state(self) -> dict[str, Any]:
        """Of all of them, now."""
        found = {
            "torch": torch.get_rng_state(),
            "numpy": np.random.get_state(),
            "python": random.getstate(),
            "own": [generator.get_state() for generator in self._own],
        }
        if self._device == "cuda":
            found["device"] = torch.cuda.get_rng_state()
        elif self._device == "mps":
            found["device"] = torch.mps.get_rng_state()
        return found

    def put_back(self, state: dict[str, Any]) -> None:
        torch.set_rng_state(state["torch"])
        np.random.set_state(state["numpy"])
        random.setstate(state["python"])
        for generator, theirs in zip(self._own, state["own"], strict=True):
            generator.set_state(theirs)
        if self._device == "cuda":
            torch.cuda.set_rng_state(state["device"])
        elif self._device == "mps":
            torch.mps.set_rng_state(state["device"])
