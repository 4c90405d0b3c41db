"""What the front hands to a worker besides the plan."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from .plan import EncodingPlan


@dataclass(frozen=True, slots=True, kw_only=True)
class EncodeJob:
    """Rows to encode: ``targets`` maps a split to the folder that is to hold it. ``model`` holds the tokenizer, and
    ``today`` is the plan's.
    """

    model: str
    template: str
    encoding: EncodingPlan
    targets: Mapping[str, str]
    rows: int
    today: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainJob:
    """A run: its folder's name, the folder of the base's files, and where the adapter is staged."""

    run: str
    model: str
    staged: str


@dataclass(frozen=True, slots=True, kw_only=True)
class GenerateJob:
    """Prompts for a base (``model`` is its folder) with an adapter (``adapter`` is its folder, or empty)."""

    model: str
    weights: str
    adapter: str
    weights_digest: str
    template: str
    device: str
    dtype: str
    attention: str
    max_new_tokens: int
    prompts: tuple[str, ...]
    system: str = ""
    thinking: bool = False
