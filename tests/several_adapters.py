"""A few adapters with scores, tags and parents, published without any training."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from kept_adapters import draft, fill

from graftlm.contracts.outcome import Change, Score
from graftlm.contracts.record import AdapterRecord
from graftlm_registry.adapters import AdapterStore
from graftlm_registry.adapters.content import content_digest


def score(value: float, moment: Any, metric: str = "exact-match", role: Any = "new", **more: Any) -> Score:
    return Score(evaluation="skill", role=role, metric=metric, moment=moment, value=value, n=50, **more)


def kept(store: AdapterStore, name: str, *, seed: int = 0, run: str = "run-1", **fields: Any) -> AdapterRecord:
    """A published adapter whose record says what is given."""
    staged = fill(store.stage(), seed=seed)
    return store.publish(staged, replace(draft(content_digest(staged), name=name, run=run), **fields))


def publish_several(store: AdapterStore) -> AdapterStore:
    """colours@1, which is tagged 'best', colours@2, which goes on from it, shapes@1 on another base, and both@1."""
    base = draft("").base
    gained = (score(0.1, "before"), score(0.9, "after"))
    other = replace(base, name="tiny-qwen", reference="tiny-qwen", family="qwen")
    lost = Change(evaluation="sum", role="old", metric="exact-match", value=-0.5, n=50, unit="fraction",
                  higher_is_better=True, low=-0.6, high=-0.4)  # fmt: skip
    kept(store, "colours", scores=gained, created="2026-01-01T00:00:00+00:00", split_rows={"train": 50})
    kept(store, "colours", seed=1, run="run-2", scores=(score(0.2, "before"), score(0.4, "after")), changes=(lost,),
         created="2026-03-01T00:00:00+00:00", parents=("colours@1",))  # fmt: skip
    kept(store, "shapes", seed=2, base=other, template="chatml", method="dora", created="2026-02-01T00:00:00+00:00",
         scores=(score(3.0, "before", "perplexity", unit="nats", higher_is_better=False),
                 score(1.5, "after", "perplexity", unit="nats", higher_is_better=False)))  # fmt: skip
    kept(store, "both", seed=3, origin="combined", parents=("colours@2", "shapes@1"), run="",
         hyperparameters={"combination": "svd", "weights": [0.7, 0.3], "rank": 8, "seed": 3},
         final_loss=None, created="2026-04-01T00:00:00+00:00")  # fmt: skip
    store.tag("colours@1", "best")
    return store
