"""The index: it finds what the records say, sees every change, and can always be made anew."""

from __future__ import annotations

import json
import os
import sqlite3
from dataclasses import replace
from typing import Any, Literal

import pytest
from kept_adapters import draft, fill, publish

from graftlm.contracts.outcome import Change, Score
from graftlm_registry.adapters import AdapterStore
from graftlm_registry.adapters import index as indexing
from graftlm_registry.adapters.content import content_digest
from graftlm_registry.adapters.search import ORDERS, Search


def listed(store: AdapterStore, **wanted: Any) -> list[str]:
    with indexing.opened(store.layout) as index:
        return [summary.adapter for summary in index.find(Search(**wanted))]


def keep(store: AdapterStore, name: str, seed: int, **fields: Any) -> None:
    staged = fill(store.stage(), seed=seed)
    record = draft(content_digest(staged), name=name, run=f"run-{seed}")
    base = replace(record.base, **fields.pop("base", {}))
    store.publish(staged, replace(record, base=base, **fields))


@pytest.fixture
def kept(store: AdapterStore) -> AdapterStore:
    """Three names, four versions."""
    keep(store, "poems", 1, created="2026-01-03T00:00:00+00:00", method="lora", split_rows={"train": 10})
    keep(store, "poems", 2, created="2026-01-04T00:00:00+00:00", method="rslora", split_rows={"train": 30})
    qwen = {"name": "tiny-qwen", "reference": "local/qwen", "family": "qwen"}
    keep(store, "sums", 3, created="2026-01-01T00:00:00+00:00", base=qwen, quantization="nf4", template="chatml")
    keep(store, "letters", 4, created="2026-01-02T00:00:00+00:00", kind="overlay", origin="combined", method="full")
    return store


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        ({}, ["letters@1", "poems@1", "poems@2", "sums@1"]),
        ({"name": "p*"}, ["poems@1", "poems@2"]),
        ({"name": "?ums"}, ["sums@1"]),
        ({"name": "' OR 1=1 --"}, []),
        ({"base": "tiny-qwen"}, ["sums@1"]),
        ({"base": "local/qwen"}, ["sums@1"]),
        ({"family": "qwen"}, ["sums@1"]),
        ({"quantization": "nf4"}, ["sums@1"]),
        ({"template": "chatml"}, ["sums@1"]),
        ({"method": "rslora"}, ["poems@2"]),
        ({"kind": "overlay"}, ["letters@1"]),
        ({"origin": "combined"}, ["letters@1"]),
        ({"since": "2026-01-03"}, ["poems@1", "poems@2"]),
        ({"newest": True}, ["letters@1", "poems@2", "sums@1"]),
        ({"sort": "created"}, ["poems@2", "poems@1", "letters@1", "sums@1"]),
        ({"sort": "rows", "limit": 2}, ["poems@2", "poems@1"]),
        ({"family": "mistral", "newest": True, "sort": "created", "limit": 1}, ["poems@2"]),
    ],
)
def test_searches(wanted: dict[str, Any], found: list[str], kept: AdapterStore) -> None:
    assert listed(kept, **wanted) == found


def test_a_search_by_tag(kept: AdapterStore) -> None:
    kept.tag("poems@1", "best")
    kept.tag("sums", "best")
    assert listed(kept, tag="best") == ["poems@1", "sums@1"]
    kept.tag("poems@2", "best")
    assert listed(kept, tag="best") == ["poems@2", "sums@1"]
    kept.untag("sums", "best")
    assert listed(kept, tag="best") == ["poems@2"]


def score(moment: Literal["before", "after"], value: float) -> Score:
    return Score(evaluation="own", role="new", metric="m", moment=moment, value=value, n=10)


def test_sorting_by_what_was_measured(store: AdapterStore) -> None:
    """The best first, whichever way the metric goes; what was not measured last."""
    keep(store, "low", 1, scores=(score("before", 0.1), score("after", 0.5)))
    keep(store, "high", 2, scores=(score("before", 0.8), score("after", 0.9)))
    keep(store, "none", 3)
    assert listed(store, sort="score") == ["high@1", "low@1", "none@1"]
    assert listed(store, sort="gain") == ["low@1", "high@1", "none@1"]
    assert set(ORDERS) >= {"name", "created", "score", "gain", "forgot", "rows"}


def test_every_change_is_seen(kept: AdapterStore) -> None:
    """By an index that was up to date a moment ago, again and again within one tick of the file system's clock."""
    for seed in range(10, 16):
        assert f"new@{seed - 9}" not in listed(kept)
        publish(kept, name="new", run=f"run-{seed}", seed=seed)
        assert f"new@{seed - 9}" in listed(kept)
    kept.remove("new@3")
    assert "new@3" not in listed(kept)
    kept.restore("new@3")
    assert "new@3" in listed(kept)
    for version in range(1, 7):
        kept.remove(f"new@{version}")
    assert not [name for name in listed(kept) if name.startswith("new")]
    assert indexing.index_faults(kept.layout) == ""


def test_it_lists_what_the_records_say(kept: AdapterStore) -> None:
    kept.tag("poems@1", "best")
    with indexing.opened(kept.layout) as index:
        text = indexing.as_json(index, index.find(Search()), index.tags())
    said = json.loads(text)
    assert [entry["name"] for entry in said] == ["letters", "poems", "poems", "sums"]
    assert [entry["tags"] for entry in said] == [[], ["best"], [], []]
    for entry, record in zip(said, kept.records(_damaged), strict=True):
        assert (entry["digest"], entry["run"], entry["version"]) == (record.digest, record.run, record.version)


def test_a_damaged_record_is_told(kept: AdapterStore) -> None:
    kept.layout.record("poems", 1).write_text("{}")
    assert listed(kept) == ["letters@1", "poems@2", "sums@1"]
    with indexing.opened(kept.layout) as index:
        (why,) = index.damaged()
    assert "1.json is damaged" in why


@pytest.mark.parametrize("noise", [b"", b"noise" * 5000, None], ids=["empty", "noise", "another form"])
def test_an_index_that_is_none_is_made_anew(noise: bytes | None, kept: AdapterStore) -> None:
    right = listed(kept)
    if noise is None:
        with sqlite3.connect(kept.layout.index) as connection:
            connection.execute("PRAGMA user_version = 99")
    else:
        kept.layout.index.write_bytes(noise)
    assert listed(kept) == right
    assert indexing.index_faults(kept.layout) == ""


def test_an_index_that_says_something_else_is_told(kept: AdapterStore) -> None:
    listed(kept)
    old = kept.layout.adapters.stat().st_mtime_ns - 60_000_000_000
    for name in kept.names():
        os.utime(kept.layout.adapters / name, ns=(old, old))  # long ago, so that it is sure of it
    listed(kept)
    with sqlite3.connect(kept.layout.index) as connection:
        connection.execute("UPDATE versions SET method = 'magic' WHERE name = 'sums'")
    assert listed(kept, method="magic") == ["sums@1"]
    assert "does not say what the records say" in indexing.index_faults(kept.layout)
    kept.layout.index.unlink()
    assert listed(kept, method="magic") == []


def test_no_store_has_an_empty_index(store: AdapterStore) -> None:
    assert listed(store) == []
    assert not store.root.exists()


def test_forgetting_is_counted(store: AdapterStore) -> None:
    """Only old skills that are certainly worse; None where none was measured."""

    def change(low: float, high: float) -> Change:
        fields = {"evaluation": "e", "metric": "m", "value": low, "n": 9, "unit": "fraction", "low": low, "high": high}
        return Change(role="old", higher_is_better=True, **fields)  # type: ignore[arg-type]

    keep(store, "bad", 1, changes=(change(-0.3, -0.1), change(-0.2, -0.1), change(-0.1, 0.1)))
    keep(store, "good", 2, changes=(change(0.1, 0.3),))
    keep(store, "unknown", 3)
    with indexing.opened(store.layout) as index:
        assert [summary.forgot for summary in index.find(Search())] == [2, 0, None]
    assert listed(store, sort="forgot") == ["bad@1", "good@1", "unknown@1"]


def _damaged(error: Exception) -> None:
    raise error
