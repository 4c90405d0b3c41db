"""The rows that adapters were evaluated on: what their runs kept from training, for a choice between combinations."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from graftlm.contracts.combining import TrialRows
from graftlm.contracts.conversation import Conversation
from graftlm.contracts.errors import DataError, GraftlmError, StoreError, UsageError
from graftlm.contracts.plan import Plan
from graftlm.contracts.record import AdapterRecord
from graftlm.data.splitting import fingerprint
from graftlm.running.repair import first_plan
from graftlm_registry.plugins import Registry

from .subjects import encoding_of, rows_of

ENOUGH = 30
"""Validation rows that are enough to choose by."""
MOST = 200
"""Rows of a parent that are asked: a table of twenty candidates asks them twenty times."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluationRows:
    """``rows`` of a parent, from one ``split`` of its data, which has ``available``. ``trained`` more were left out:
    another parent was trained on them.
    """

    record: AdapterRecord
    split: Literal["validation", "test"]
    rows: tuple[Conversation, ...]
    available: int
    trained: int
    plan: Plan

    def asked(self, path: Path) -> TrialRows:
        """Them in a file, for a worker."""
        record = self.record
        return TrialRows(
            name=record.reference,
            rows=str(path),
            count=len(self.rows),
            evaluator=self.plan.all_parts("evaluator")[0].name,
            options=self.plan.options.get("evaluator", {}),
            encoding=encoding_of(record),
        )


def evaluation_rows(records: Sequence[AdapterRecord], registry: Registry) -> tuple[EvaluationRows, ...]:
    """Of each adapter: its validation rows where there are enough of them, else its test rows, or what there is.

    Raises ``UsageError`` where there are none, or the run is gone.
    """
    plans = [_plan(record) for record in records]
    trained = [{fingerprint(row) for row in _rows(record, plan, "train", registry)}
               for record, plan in zip(records, plans, strict=True)]  # fmt: skip
    found = []
    for number, (record, plan) in enumerate(zip(records, plans, strict=True)):
        split = _split(record, plan)
        rows = _rows(record, plan, split, registry)
        others = set[int]().union(*(each for i, each in enumerate(trained) if i != number))
        fresh = [row for row in rows if fingerprint(row) not in others]
        if not fresh:
            raise UsageError(
                f"another of the adapters was trained on all {split} rows of {record.reference}: there is nothing to "
                "choose by"
            )
        step = max(1, -(-len(fresh) // MOST))
        found.append(
            EvaluationRows(
                record=record,
                split=split,
                rows=tuple(fresh[::step]),
                available=len(fresh),
                trained=len(rows) - len(fresh),
                plan=plan,
            )
        )
    return tuple(found)


def _plan(record: AdapterRecord) -> Plan:
    if not record.run:
        raise UsageError(
            f"{record.reference} was {record.origin}, not trained here, and has no evaluation rows to try on: name the "
            "--combination and the weights without --try, and score the result with 'graftlm eval'"
        )
    try:
        return first_plan(record)
    except StoreError:
        raise UsageError(
            f"the run of {record.reference} is gone, and with it what its evaluation rows are: name the --combination "
            "and the weights without --try, and score the result with 'graftlm eval'"
        ) from None


def _split(record: AdapterRecord, plan: Plan) -> Literal["validation", "test"]:
    sizes = {name: split.rows if (split := plan.data.split(name)) else 0 for name in ("validation", "test")}
    if not any(sizes.values()):
        raise UsageError(
            f"{record.reference} was trained without validation and test rows: there is nothing to choose by (train "
            "with --val-split 0.1)"
        )
    return "validation" if sizes["validation"] >= min(ENOUGH, sizes["test"] or 1) else "test"


def _rows(record: AdapterRecord, plan: Plan, split: str, registry: Registry) -> Sequence[Conversation]:
    try:
        return rows_of(plan, split, registry)
    except DataError as error:
        raise UsageError(
            f"the data of {record.reference} is not what it was when it was trained, or has gone: bring "
            f"{plan.settings['data']} back ({error})"
        ) from None
    except GraftlmError as error:
        raise UsageError(f"the data of {record.reference} cannot be read: {error}") from None
