"""What a list of adapters shows of each, and is filtered and sorted by."""

from __future__ import annotations

from dataclasses import astuple, dataclass, fields
from typing import Any

from graftlm.contracts.outcome import Change, Score
from graftlm.contracts.plan import RETENTION_TEXT
from graftlm.contracts.record import AdapterRecord


@dataclass(frozen=True, slots=True)
class Summary:
    """Of one version. ``before`` and ``after`` are the first metric of the new skill, ``unit`` and ``better`` (1 where
    more is better, else -1) say how to read it. ``forgot`` counts the metrics of old skills that are certainly worse;
    None where nothing was measured. ``rows`` are training rows.
    """

    name: str
    version: int
    base: str
    reference: str
    family: str
    method: str
    quantization: str
    template: str
    kind: str
    origin: str
    created: str
    rows: int
    metric: str
    before: float | None
    after: float | None
    unit: str
    better: int
    forgot: int | None
    digest: str
    data: str

    def row(self) -> tuple[Any, ...]:
        return astuple(self)

    @property
    def adapter(self) -> str:
        """``name@version``."""
        return f"{self.name}@{self.version}"


COLUMNS = tuple(field.name for field in fields(Summary))


def summary_of(record: AdapterRecord) -> Summary:
    first = _first(record.scores)
    before, after = first if first else (None, None)
    return Summary(
        name=record.name,
        version=record.version,
        base=record.base.name,
        reference=record.base.reference,
        family=record.base.family,
        method=record.method,
        quantization=record.quantization,
        template=record.template,
        kind=record.kind,
        origin=record.origin,
        created=record.created,
        rows=record.split_rows.get("train", 0),
        metric=after.metric if after else "",
        before=before.value if before else None,
        after=after.value if after else None,
        unit=after.unit if after else "",
        better=1 if after is None or after.higher_is_better else -1,
        forgot=_forgot(record.changes),
        digest=record.digest,
        data=record.data_digest,
    )


def _first(scores: tuple[Score, ...]) -> tuple[Score | None, Score] | None:
    """The new skill's first metric, before and after training."""
    after = next((s for s in scores if s.role == "new" and s.moment == "after"), None)
    if after is None:
        return None
    same = (after.evaluation, after.metric, after.evaluator)
    before = (s for s in scores if s.moment == "before" and (s.evaluation, s.metric, s.evaluator) == same)
    return next(before, None), after


def _forgot(changes: tuple[Change, ...]) -> int | None:
    # as graftlm.running.forgetting.lost counts, which names them: neither the loss on a text, nor its perplexity
    old = [c for c in changes if c.role == "old" and c.evaluation != RETENTION_TEXT and c.unit == "fraction"]
    return sum(change.worse for change in old) if old else None
