"""One adapter of several: what is refused before anything is loaded, and what is published."""

from __future__ import annotations

import math
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from graftlm.contracts.combining import CombineJob, CombinePlan
from graftlm.contracts.errors import UsageError
from graftlm.contracts.job import Answerer, Kept
from graftlm.contracts.outcome import Effective, Proof
from graftlm.contracts.record import AdapterRecord
from graftlm.contracts.specs import Combination, Combining
from graftlm.environments.probing import probe
from graftlm.version import __version__
from graftlm_registry.adapters import open_store
from graftlm_registry.adapters.content import content_digest
from graftlm_registry.adapters.names import LONGEST, check_name
from graftlm_registry.plugins import Registry

from .fitting import held_out, measured_by, texts_for
from .parents import Parents
from .worker_process import OnEvent, StartWorker, run_worker

DENSITY, SEED = 0.5, 0
"""Where nothing else is asked."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Combined:
    """The published adapter, and how it was made."""

    record: AdapterRecord
    plan: CombinePlan

    @property
    def total(self) -> float:
        """The sum of the weights."""
        return sum(self.plan.weights)


def read_weights(given: Sequence[str]) -> tuple[tuple[str, float], ...]:
    """``NAME=WEIGHT`` as references and weights; ``UsageError`` where one is neither."""
    found = []
    for text in given:
        name, equals, said = text.rpartition("=")
        try:
            weight = float(said)
        except ValueError:
            weight = math.nan
        if not equals or not name or math.isnan(weight):
            raise UsageError(f"{text!r} is not NAME=WEIGHT, such as {_example(text)}=0.5")
        if not math.isfinite(weight) or not weight:
            raise UsageError(f"{text}: the weight must be a finite number, and not 0")
        found.append((name, weight))
    return tuple(found)


def _example(text: str) -> str:
    return text.partition("=")[0].strip() or "reviews"


def plan_of(
    combining: Combining,
    combination: str,
    weights: Sequence[float],
    *,
    rank: int | None = None,
    density: float | None = None,
    seed: int | None = None,
) -> CombinePlan:
    """What is asked with what is not; ``UsageError`` where the combination has no such setting."""
    way = way_of(combining, combination)
    for flag, value, has in (
        ("--rank", rank, way.any_rank), ("--density", density, way.density), ("--seed", seed, way.random),
    ):  # fmt: skip
        if value is not None and not has:
            others = ", ".join(w.name for w in combining.ways if _has(w, flag))
            raise UsageError(f"{flag} {value}: {combination} has none; it is for {others}")
    if rank is not None and rank < 1:
        raise UsageError(f"--rank {rank}: a rank is 1 or more")
    if density is not None and not 0 < density <= 1:
        raise UsageError(f"--density {density:g}: it is a share of the numbers, above 0 and up to 1")
    return CombinePlan(
        combination=combination,
        weights=tuple(weights),
        rank=rank or 0,
        density=(DENSITY if density is None else density) if way.density else None,
        seed=(SEED if seed is None else seed) if way.random else None,
    )


def _has(way: Combination, flag: str) -> bool:
    return {"--rank": way.any_rank, "--density": way.density, "--seed": way.random}[flag]


def way_of(combining: Combining, name: str) -> Combination:
    way = combining.way(name)
    if way is None:
        known = ", ".join(way.name for way in combining.ways)
        raise UsageError(f"there is no combination {name}: choose one of {known}")
    return way


def check_ranks(parents: Parents, plan: CombinePlan) -> None:
    """``UsageError`` where the method cannot combine them so. Nothing is loaded yet."""
    way = way_of(parents.combining, plan.combination)
    for reason in parents.combining.check(way, plan.rank, parents.folders):
        raise UsageError(reason)


def name_for(parents: Parents, asked: str) -> str:
    """The name that is asked, or one of the parents' names; ``UsageError`` where that is too long."""
    if asked:
        return check_name(asked)
    made = "-".join(record.name for record in parents.records)
    if len(made) > LONGEST:
        raise UsageError("the names are too long to make one of them: give --name")
    return check_name(made)


def combine(
    parents: Parents,
    plan: CombinePlan,
    on_event: OnEvent,
    registry: Registry,
    *,
    name: str = "",
    start: StartWorker = run_worker,
) -> Combined:
    """Make it, prove it and publish it.

    Raises ``UsageError`` where they cannot be combined so, ``RunError`` where what came of it is not what was made.
    """
    check_ranks(parents, plan)
    name = name_for(parents, name)
    texts = tuple(text for record in parents.records for text in held_out(record))
    store = open_store()
    staged = store.stage()
    try:
        who = answerer(parents, staged)
        job = CombineJob(
            who=who,
            parents=tuple(str(folder) for folder in parents.folders.values()),
            plan=plan,
            texts=texts or texts_for(who, registry),
        )
        effective, proof = measured_by("combine", job, on_event, start)
        record = store.publish(staged, _draft(parents, plan, name, staged, effective, proof))
    finally:
        shutil.rmtree(staged, ignore_errors=True)
    return Combined(record=record, plan=plan)


def answerer(parents: Parents, folder: Path) -> Answerer:
    """The first parent's base, with the combination that is, or will be, in a folder."""
    kept = parents.who.kept
    assert kept is not None
    return replace(
        parents.who,
        kept=Kept(
            folder=str(folder),
            method=parents.combining.method,
            weights_digest=kept.weights_digest,
            rope=kept.rope,
        ),
    )


def _draft(
    parents: Parents, plan: CombinePlan, name: str, staged: Path, effective: Effective, proof: Proof
) -> AdapterRecord:
    first = parents.records[0]
    settings: Mapping[str, Any] = parents.combining.settings(staged)
    how = {"combination": plan.combination, "weights": list(plan.weights)}
    how |= {key: value for key in ("density", "seed") if (value := getattr(plan, key)) is not None}
    kept = {key: first.hyperparameters[key] for key in ("encoding",) if key in first.hyperparameters}
    devices = probe().devices
    return replace(
        first,
        name=name,
        version=0,
        digest=content_digest(staged),
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        run="",
        base=replace(first.base, weights_digest=proof.base_after),
        method=parents.combining.method,
        hyperparameters={**settings, **how, **kept},
        data_digest="",
        split_rows={},
        plan_hash="",
        effective=effective,
        proof=proof,
        scores=(),
        final_loss=None,
        validation_loss=None,
        device=devices[0].name if effective.device != "cpu" else devices[-1].name,
        graftlm=__version__,
        parents=tuple(record.reference for record in parents.records),
        environment="",
        changes=(),
        origin="combined",
        source="",
    )
