"""Adapters whose records say all that a real one says, so that they are taken back in."""

from __future__ import annotations

from typing import Any

import shared_adapters

from graftlm.contracts.record import AdapterRecord

HYPERPARAMETERS = {"rank": 4, "options": {}, "target_modules": ["q_proj", "v_proj"], "encoding": {"max_length": 512}}


def kept(name: str = "skill", **more: Any) -> AdapterRecord:
    """``shared_adapters.kept``, with these hyperparameters."""
    return shared_adapters.kept(name, **{"hyperparameters": HYPERPARAMETERS, **more})
