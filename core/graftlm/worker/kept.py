"""A base with what was kept of a run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from graftlm.contracts.errors import StoreError
from graftlm.contracts.job import Answerer, Kept
from graftlm.contracts.load import LoadPlan
from graftlm.contracts.services import Tuner
from graftlm.contracts.specs import TuningMethod
from graftlm_registry.plugins import registry

from .digest import base_digest
from .load import load_base
from .rope import rope_of
from .targets import resolve_target


def with_kept(load: LoadPlan, weights: str, folder: Path, kept: Kept | None, device: str) -> Any:
    """The base, drawn first where it has none, with the kept adapter or overlay, if any, on it."""
    if weights == "random":
        from .random_weights import random_weights

        random_weights(folder)
    base = load_base(load, folder, device).model
    return base if kept is None else tuner_of(kept).apply(checked(base, kept), Path(kept.folder))


def answering_model(who: Answerer) -> Any:
    """The model of somebody who answers, ready to."""
    return with_kept(who.load, who.weights, Path(who.model), who.kept, who.device)


def tuner_of(kept: Kept) -> Tuner:
    tuner: Tuner = resolve_target(registry().get(TuningMethod, kept.method).target)()
    return tuner


def checked(base: Any, kept: Kept) -> Any:
    """The base itself; ``StoreError`` where its weights or its RoPE are not those that were trained on."""
    if kept.weights_digest and base_digest(base) != kept.weights_digest:
        name = base.config._name_or_path
        raise StoreError(
            f"the weights of {name} are not those that this adapter was trained on: bring them back, or train it again"
        )
    found = rope_of(base)
    if kept.rope and found != dict(kept.rope):
        raise StoreError(f"the base's RoPE is {found}, and this adapter was trained with {dict(kept.rope)}")
    return base
