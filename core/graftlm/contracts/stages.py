"""When an accelerator's patches come into force, in the order that the libraries force."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

Stage = Literal["import", "load", "model", "adapter", "step"]
STAGES: Mapping[Stage, str] = {
    "import": "before graftlm imports transformers; there is no model yet",
    "load": "before the base is loaded, where the backend lets graftlm load it; there is no model yet",
    "model": "the base is loaded; nothing is attached to it, unless the backend loaded both itself",
    "adapter": "the method is attached, its initial weights are in place, and checkpointing of activations is on",
    "step": "before the first optimizer step; an accelerator's loss is made after this one",
}
"""With what is there by then."""
