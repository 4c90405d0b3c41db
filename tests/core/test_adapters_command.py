"""``graftlm adapters`` on a store without any training: listed, shown, drawn and compared."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import click
import pytest
from conftest import Said
from several_adapters import kept, publish_several

from graftlm.cli.adapters.log_graph import draw
from graftlm.contracts.outcome import Change
from graftlm.contracts.plan import RETENTION_TEXT
from graftlm.running.forgetting import lost
from graftlm_registry.adapters import AdapterStore
from graftlm_registry.adapters.lineage import Node
from graftlm_registry.adapters.summary import summary_of

Run = Callable[..., Said]


@pytest.fixture
def store(home: Path) -> AdapterStore:
    return AdapterStore(home / "store")


@pytest.fixture
def several(store: AdapterStore) -> AdapterStore:
    return publish_several(store)


def names(said: Said) -> list[str]:
    """The adapters of a list."""
    return [f"{each['name']}@{each['version']}" for each in json.loads(said.out)]


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ((), ["both@1", "colours@1", "colours@2", "shapes@1"]),
        (("--base", "tiny-qwen"), ["shapes@1"]),
        (("--family", "qwen"), ["shapes@1"]),
        (("--tag", "best"), ["colours@1"]),
        (("--name", "co*"), ["colours@1", "colours@2"]),
        (("--name", "co*", "--newest"), ["colours@2"]),
        (("--template", "chatml", "--method", "dora"), ["shapes@1"]),
        (("--origin", "combined"), ["both@1"]),
        (("--kind", "overlay"), []),
        (("--since", "2026-02-15"), ["both@1", "colours@2"]),
        (("--since", "2026-03-01T01:00+01:00"), ["both@1", "colours@2"]),
        (("--since", "2026-03-01T00:00:01"), ["both@1"]),
        (("--since", "20260301"), ["both@1", "colours@2"]),
        (("--sort", "created"), ["both@1", "colours@2", "shapes@1", "colours@1"]),
        (("--sort", "score", "--base", "tiny-mistral"), ["colours@1", "colours@2", "both@1"]),
        (("--sort", "gain"), ["shapes@1", "colours@1", "colours@2", "both@1"]),
        (("--sort", "forgot", "--limit", "1"), ["colours@2"]),
        (("--sort", "rows", "--limit", "1"), ["colours@1"]),
    ],
)
def test_a_list_shows_what_is_asked_for(
    asked: tuple[str, ...], found: list[str], several: AdapterStore, run: Run
) -> None:
    assert names(run("adapters", "list", *asked, "--json")) == found
    shown = run("adapters", "list", *asked)
    assert shown.code == 0
    for reference in found:
        assert f"{reference} " in shown.out


@pytest.mark.parametrize("since", ["banana", "2026-13-01", "0001-01-01T00:00+12:00"])
def test_a_time_that_is_none(since: str, several: AdapterStore, run: Run) -> None:
    said = run("adapters", "list", "--since", since)
    assert (said.code, "such as 2026-11-01" in said.err) == (2, True)


def test_lost_is_counted_and_named_alike(store: AdapterStore, run: Run) -> None:
    """A list's number is that of the skills that 'show' names: a loss and a perplexity are none."""
    worse = {"role": "old", "n": 50, "metric": "exact-match", "value": -0.5, "low": -0.6, "high": -0.4}
    skill = Change(evaluation="sum", unit="fraction", higher_is_better=True, **worse)  # type: ignore[arg-type]
    text = {**worse, "metric": "loss", "value": 1.0, "low": 0.5, "high": 1.5}
    loss = Change(evaluation=RETENTION_TEXT, unit="nats", higher_is_better=False, **text)  # type: ignore[arg-type]
    changes = (skill, loss, replace(loss, evaluation="old rows", metric="perplexity"))
    assert all(change.worse for change in changes)
    assert len(lost(changes)) == summary_of(kept(store, "old", changes=changes)).forgot == 1
    assert summary_of(kept(store, "text", run="run-2", changes=changes[1:])).forgot is None
    assert "graftlm repair old@1 --skill" in run("adapters", "show", "old").out


def test_a_list_says_it_all_in_a_line(several: AdapterStore, run: Run) -> None:
    lines = {line.split()[0]: line for line in run("adapters", "list").out.splitlines()}
    assert "10% → 90%" in lines["colours@1"]
    assert "best" in lines["colours@1"]
    assert re.search(r"20% → 40% +1 ", lines["colours@2"])  # one skill is certainly worse
    assert "3 → 1.5" in lines["shapes@1"]
    assert "combined" in lines["both@1"]


def test_a_list_notices_every_change(several: AdapterStore, run: Run) -> None:
    """The index is a cache: whatever happens to the store, the next list says it."""
    assert len(names(run("adapters", "list", "--json"))) == 4
    assert run("adapters", "rm", "shapes", "--yes").code == 0
    assert "shapes@1" not in names(run("adapters", "list", "--json"))
    assert run("adapters", "restore", "shapes").code == 0
    assert "shapes@1" in names(run("adapters", "list", "--json"))
    run("adapters", "tag", "colours@2", "best")
    assert names(run("adapters", "list", "--tag", "best", "--json")) == ["colours@2"]
    time.sleep(0.01)
    several.layout.index.write_bytes(b"\0" * 100)
    assert len(names(run("adapters", "list", "--json"))) == 4
    several.layout.index.unlink()
    assert len(names(run("adapters", "list", "--json"))) == 4


def test_a_damaged_record_is_told_and_keeps_nothing_back(several: AdapterStore, run: Run) -> None:
    several.layout.record("shapes", 1).write_bytes(b"{}\n")
    said = run("adapters", "list", "--json")
    assert "shapes@1" not in names(said)
    assert "damaged" in said.err


def test_show_has_what_was_said_since(several: AdapterStore, run: Run) -> None:
    run("adapters", "note", "colours@best", "good\x1b[2J enough")
    shown = run("adapters", "show", "colours@best").out
    assert re.search(r"tags +best", shown)
    assert "good\\x1b[2J enough" in shown
    assert "good" in run("adapters", "note", "colours@1").out
    combined = run("adapters", "show", "both").out
    assert "colours@2 × 0.7, shapes@1 × 0.3" in combined
    assert "svd" in combined


def test_log_draws_where_it_comes_from(several: AdapterStore, run: Run) -> None:
    lines = run("adapters", "log", "both").out.splitlines()
    assert [re.sub(r"  .*", "", line.replace("│", " ")) or line for line in lines] != []
    heads = [re.match(r"[│├└─ ]*", line)[0] + re.search(r"\w+@\d+", line)[0] for line in lines]  # type: ignore[index]
    assert heads == ["both@1", "├─ colours@2", "│  └─ colours@1", "└─ shapes@1"]
    assert "[best]" in lines[2]
    run("adapters", "rm", "shapes", "--yes")
    assert "shapes@1  (removed)" in run("adapters", "log", "both").out
    graph = json.loads(run("adapters", "log", "colours", "--json").out)
    assert {node["reference"]: node["parents"] for node in graph} == {"colours@2": ["colours@1"], "colours@1": []}


def test_a_lineage_is_as_long_as_it_is() -> None:
    names = [f"long@{number}" for number in range(3000, 0, -1)]
    graph = {
        name: Node(reference=name, state="kept", parents=tuple(names[i + 1 : i + 2])) for i, name in enumerate(names)
    }
    assert [click.unstyle(line).split("─ ")[-1] for line in draw(graph, names[:1])] == names


def test_a_long_note_does_not_fill_the_screen(several: AdapterStore, run: Run) -> None:
    long = "first line\n│ ├─ second\n" + "x" * 100_000
    run("adapters", "note", "colours@2", long)
    lines = run("adapters", "log", "both").out.splitlines()
    assert len(lines) == 5
    assert lines[2].endswith("“first line…”")
    run("adapters", "note", "colours@1", "y" * 71)
    assert f"“{'y' * 70}…”" in run("adapters", "log", "colours@1").out
    shown = run("adapters", "show", "colours@2").out
    assert "characters more: graftlm adapters note colours@2)" in " ".join(shown.split())
    assert len(shown) < 5000
    assert "x" * 100_000 in run("adapters", "note", "colours@2").out


def test_diff_says_nothing_of_an_order(store: AdapterStore, run: Run) -> None:
    first = {"target_modules": ["q_proj", "v_proj"], "epochs": 75.0, "learning_rate": 0.0002}
    second = {"target_modules": ["v_proj", "q_proj"], "epochs": 75.5, "learning_rate": 0.00020000001}
    kept(store, "one", hyperparameters=first)
    kept(store, "two", run="run-2", hyperparameters=second)
    said = run("adapters", "diff", "one", "two").out
    assert "target modules" not in said
    assert re.search(r"epochs +75 +75\.5", said)
    assert re.search(r"learning rate +0\.0002 +0\.00020000001", said)


def test_diff_shows_what_differs_and_nothing_else(several: AdapterStore, run: Run) -> None:
    said = run("adapters", "diff", "colours@1", "colours@2").out
    assert re.search(r"train rows +50 +8", said)
    assert re.search(r"exact-match +90% +40%", said)
    assert "template" not in said
    assert re.search(r"layer\.0\.lora_A +\d", said)
    other = run("adapters", "diff", "colours@1", "shapes", "--json")
    found = json.loads(other.out)
    assert found["differences"]["method"] == ["lora", "dora"]
