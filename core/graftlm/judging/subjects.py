"""Who is judged: the base of a plan, or an adapter of the store, with the rows that they are asked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from graftlm.contracts.config import RunConfig
from graftlm.contracts.conversation import Conversation
from graftlm.contracts.errors import PluginError
from graftlm.contracts.job import Answerer
from graftlm.contracts.plan import EncodingPlan, Plan
from graftlm.contracts.record import AdapterRecord
from graftlm.contracts.serial import from_json, to_json
from graftlm.data.rows import read_row
from graftlm.planning.resolve import resolve
from graftlm.running.answerers import of_adapter, of_plan
from graftlm.running.rows import kept_rows
from graftlm.running.stored import stored
from graftlm_registry.adapters import open_store
from graftlm_registry.plugins import Registry

PARTS = ("format", "template", "source", "family", "quantization", "accelerator", "evaluator")
"""Kinds of plugins that take part when nothing is trained."""

LONGEST = 512
"""Tokens of a row that is scored by its loss, where no record says how long the rows of its training were."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """``name`` is how it is shown; ``record`` is the adapter's. ``evaluators`` with ``options`` score it."""

    name: str
    who: Answerer
    encoding: EncodingPlan
    plan: Plan
    record: AdapterRecord | None = None

    @property
    def moment(self) -> Literal["before", "after"]:
        return "before" if self.record is None else "after"

    @property
    def evaluators(self) -> tuple[str, ...]:
        return tuple(part.name for part in self.plan.all_parts("evaluator"))

    @property
    def options(self) -> Mapping[str, Any]:
        return self.plan.options.get("evaluator", {})


def of_base(config: RunConfig, registry: Registry) -> Subject:
    """The base model that the settings name."""
    plan = _sound(resolve(config, registry))
    return Subject(name=plan.model.name, who=of_plan(plan, registry), encoding=plan.encoding, plan=plan)


def of_stored(reference: str, config: RunConfig, registry: Registry) -> Subject:
    """An adapter; ``config`` names the data, and the base where it is asked for as well."""
    store = open_store()
    record = store.get(reference)
    plan = _sound(resolve(replace(config, from_adapter=record.reference, model=None, revision=None), registry))
    encoding = encoding_of(record)
    who = replace(of_adapter(stored(record, store, registry), registry), today=plan.template.today)
    return Subject(name=record.reference, who=who, encoding=encoding, plan=plan, record=record)


def encoding_of(record: AdapterRecord) -> EncodingPlan:
    """How the rows of its training became samples; where its record does not say, as for an imported adapter."""
    known = record.hyperparameters.get("encoding")
    if not known:
        return EncodingPlan(max_length=LONGEST, thinking=record.thinking)
    return replace(from_json(to_json(known), EncodingPlan, "the record's encoding"), thinking=record.thinking)


def _sound(plan: Plan) -> Plan:
    """``PluginError`` where something speaks against a part that is used to judge."""
    problems = [f"{p.kind} {p.name}: {problem}" for p in plan.parts if p.kind in PARTS for problem in p.problems]
    if problems:
        raise PluginError("\n".join(problems))
    return plan


def rows_of(plan: Plan, split: str, registry: Registry) -> Sequence[Conversation]:
    """The rows of one split, and no others; none where the data has no such split."""
    if plan.data.split(split) is None:
        return ()
    path: Path = kept_rows(plan, registry) / f"{split}.jsonl"
    with path.open("rb") as file:
        return tuple(read_row(line) for line in file)
