"""A second round for an adapter that forgot something: its own data once more, with the lost skill mixed in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from graftlm.contracts.config import RunConfig
from graftlm.contracts.errors import GraftlmError, StoreError, UsageError
from graftlm.contracts.outcome import Change, Score
from graftlm.contracts.plan import Plan
from graftlm.contracts.record import AdapterRecord
from graftlm.contracts.serial import from_json
from graftlm.data.samples import paired_change, read_samples, row_values, sample_file
from graftlm.planning.resolve import resolve
from graftlm_registry.home import home
from graftlm_registry.plugins import Registry

KEPT = (
    "data", "val_data", "test_data", "val_split", "test_split", "split_rule", "split", "format", "columns",
    "capability", "data_size", "max_length", "overlong", "train_on", "evaluator", "retention_suite",
    "trust_remote_code", "micro_batch", "batch_size", "tokens_per_step", "optimizer", "loraplus_ratio", "schedule",
)  # fmt: skip
"""Settings of the first round that the second has again."""


def repair_plan(
    record: AdapterRecord, skill: str, registry: Registry, *, data: str = "", ratio: float = 0.5, **asked: object
) -> Plan:
    """The plan of the second round. ``ratio`` is the lost skill's share of the training rows; ``data`` is where the
    adapter's data lies now, if it was moved; ``asked`` are settings beside. Half as many steps as the first round, at
    half its learning rate, where nothing else is asked.

    Raises ``StoreError`` where the first round's plan is gone, ``UsageError`` where its data has changed: unseen rows
    would no longer be unseen.
    """
    first = first_plan(record)
    said = {name: first.settings[name] for name in KEPT if first.origins.get(name) == "asked" or name == "data"}
    said["thinking"] = "on" if first.encoding.thinking else "auto" if not first.data.thoughts else "off"
    if options := {kind: dict(first.options[kind]) for kind in ("evaluator", "optimizer") if first.options.get(kind)}:
        said["options"] = options
    if data:
        said["data"] = data
    said |= {"from_adapter": record.reference, "replay": skill, "replay_ratio": ratio}
    if asked.get("epochs") is None:
        said["max_steps"] = max(1, first.training.steps // 2)
    said["learning_rate"] = first.training.learning_rate / 2
    said |= {name: value for name, value in asked.items() if value is not None}
    said.setdefault("name", record.name)
    plan = resolve(RunConfig(**said), registry)
    _check_rows(first, plan, RunConfig(**said), record, registry)
    return plan


def _check_rows(first: Plan, plan: Plan, config: RunConfig, record: AdapterRecord, registry: Registry) -> None:
    """``UsageError`` where the data is not the adapter's own."""
    if not first.data.replayed:  # without the skill its training rows are known
        bare = resolve(replace(config, replay=None, replay_ratio=None), registry).data.split("train")
        was = first.data.split("train")
        if bare is None or was is None or bare.digest != was.digest:
            raise UsageError(
                f"the training rows of {config.data} are not those of {record.reference}: give its own data with --data"
            )
    for split in ("validation", "test"):
        was, now = first.data.split(split), plan.data.split(split)  # the training rows have the skill among them
        if (was.digest if was else "") != (now.digest if now else ""):
            raise UsageError(
                f"the {split} rows of {config.data} are not those of {record.reference}: give its own data with --data"
            )


def first_plan(record: AdapterRecord) -> Plan:
    """The plan of an adapter's run."""
    path = home() / "runs" / record.run / "plan.json"
    try:
        return from_json(path.read_bytes(), Plan, str(path))
    except (OSError, GraftlmError):
        raise StoreError(
            f"the plan of {record.reference} is not in {path.parent}, so that its data is not known: go on with "
            f"graftlm train DATA --from-adapter {record.reference} --replay SKILL --replay-ratio 0.5"
        ) from None


@dataclass(frozen=True, slots=True)
class Repaired:
    """One metric: of the base, of the adapter that was repaired, and after its repair; ``change`` is between these two,
    paired over rows, or None where the first round's samples are gone.
    """

    base: Score
    parent: Score
    after: Score
    change: Change | None


def repaired(parent: AdapterRecord, record: AdapterRecord) -> tuple[Repaired, ...]:
    """What both rounds measured on the same rows, the new skill first."""
    first, second = first_plan(parent), first_plan(record)
    asked, asked_now = _asked(first), _asked(second)
    before = {_key(s, second): s for s in record.scores if s.moment == "before"}
    after = {_key(s, second): s for s in record.scores if s.moment == "after"}
    then = {_key(s, first): s for s in parent.scores if s.moment == "after"}
    same = [key for key in after if key in then and key in before and asked.get(key[:2]) == asked_now.get(key[:2])]
    return tuple(
        Repaired(before[key], then[key], after[key], _change(parent, record, then[key], after[key]))
        for key in sorted(same, key=lambda key: key[0] != "new")
    )


def _key(score: Score, plan: Plan) -> tuple[str, str, str, str]:
    """The new skill goes by the plan's name, which may be another one in each round."""
    return score.role, "" if score.evaluation == plan.name else score.evaluation, score.evaluator, score.metric


def _asked(plan: Plan) -> dict[tuple[str, str], str]:
    """What was asked, by role and name as ``_key`` has them."""
    return {(e.role, "" if e.name == plan.name else e.name): e.digest for e in plan.evaluations}


def _change(parent: AdapterRecord, record: AdapterRecord, then: Score, now: Score) -> Change | None:
    was, is_ = _rows(parent.run, then), _rows(record.run, now)
    return paired_change(then, now, was, is_) if was and len(was) == len(is_) else None


def _rows(run: str, score: Score) -> Sequence[float]:
    """What each row was worth after a run, where its samples are still there and say it."""
    path = home() / "runs" / run / "samples" / sample_file(score.role, score.evaluation, score.evaluator, "after")
    return row_values(read_samples(path), score.metric) if path.is_file() else ()
