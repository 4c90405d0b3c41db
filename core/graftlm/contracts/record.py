"""AdapterRecord: what the store says of an adapter. Written once, never changed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from .load import LoadPlan
from .outcome import Change, Effective, Proof, Score

Origin = Literal["trained", "imported", "combined"]


@dataclass(frozen=True, slots=True, kw_only=True)
class BaseModel:
    """The base that the adapter fits. ``weights_digest`` is of its tensors as they were loaded for training, and
    ``files_digest`` of its files, whatever precision they are loaded in.
    """

    reference: str
    name: str
    source: str
    revision: str
    files_digest: str
    weights_digest: str
    dtype: str
    model_type: str
    family: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AdapterRecord:
    """``digest`` names the stored files; ``created`` is UTC in ISO 8601. ``load`` is how the base is loaded again.

    ``origin`` says how it came to be. What only a training run knows is empty for the others: ``run``, ``data_digest``,
    ``split_rows``, ``plan_hash``, ``scores`` and the losses. ``effective`` and ``proof`` were measured in any case.
    ``parents`` are the adapters that it goes on from, or is combined of. ``source`` says where an imported one was
    found. ``environment`` is that of the backend and the digest of what was installed there (``name lock``), or empty.
    """

    name: str
    version: int
    kind: Literal["adapter", "overlay"]
    digest: str
    created: str
    run: str
    base: BaseModel
    load: LoadPlan
    template: str
    template_hash: str
    tokenizer_hash: str
    quantization: str
    method: str
    hyperparameters: Mapping[str, Any]
    data_digest: str
    split_rows: Mapping[str, int]
    plan_hash: str
    effective: Effective
    proof: Proof
    scores: tuple[Score, ...]
    final_loss: float | None
    validation_loss: float | None
    device: str
    graftlm: str
    parents: tuple[str, ...] = ()
    thinking: bool = False
    environment: str = ""
    changes: tuple[Change, ...] = ()
    origin: Origin = "trained"
    source: str = ""

    @property
    def reference(self) -> str:
        return f"{self.name}@{self.version}"
