"""``graftlm adapters`` and ``graftlm store`` on a store without any training: found, compared, marked, removed."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import Said
from hypothesis import given, settings
from hypothesis import strategies as st
from kept_adapters import WEIGHTS, draft, fill, publish, save_safetensors

from graftlm.contracts.outcome import Change, Score
from graftlm.contracts.record import AdapterRecord
from graftlm.judging.weight_changes import by_layer, by_module, whole
from graftlm_registry.adapters import AdapterStore
from graftlm_registry.adapters.content import content_digest

Run = Callable[..., Said]


@pytest.fixture
def store(home: Path) -> AdapterStore:
    return AdapterStore(home / "store")


def score(value: float, moment: Any, metric: str = "exact-match", role: Any = "new", **more: Any) -> Score:
    return Score(evaluation="skill", role=role, metric=metric, moment=moment, value=value, n=50, **more)


def kept(store: AdapterStore, name: str, *, seed: int = 0, run: str = "run-1", **fields: Any) -> AdapterRecord:
    """A published adapter whose record says what is given."""
    staged = fill(store.stage(), seed=seed)
    return store.publish(staged, replace(draft(content_digest(staged), name=name, run=run), **fields))


@pytest.fixture
def several(store: AdapterStore) -> AdapterStore:
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


def test_a_tag_is_a_name(several: AdapterStore, run: Run) -> None:
    assert run("adapters", "show", "colours@best", "--json").out == run("adapters", "show", "colours@1", "--json").out
    said = run("adapters", "tag", "colours", "best")
    assert "colours@2 is tagged 'best', and colours@1 no more" in said.out
    assert run("adapters", "tag", "colours").out == "best  colours@2\n"
    assert run("adapters", "tag", "colours", "best", "--remove").code == 0
    gone = run("adapters", "show", "colours@best")
    assert (gone.code, gone.err) == (2, "Error: unknown tag of colours 'best'. Available: none\n")


@pytest.mark.parametrize("tag", ["3", "con", "nul.a", "Best", "a b", "-x", "a/b", "..", "x" * 65, "é"])
def test_what_cannot_be_a_tag(tag: str, several: AdapterStore, run: Run) -> None:
    said = run("adapters", "tag", "colours", "--", tag)
    assert said.code == 2
    assert "is not a tag" in said.err


def test_removing_is_undone(several: AdapterStore, run: Run) -> None:
    before = several.get("colours@2")
    assert "restore colours@2" in run("adapters", "rm", "colours", "--yes").out
    said = run("adapters", "show", "colours@2")
    assert (said.code, "was removed: 'graftlm adapters restore colours@2'" in said.err) == (2, True)
    assert several.get("colours").version == 1
    assert publish(several, name="colours", run="run-9", seed=9).version == 3  # its number is not given again
    run("store", "gc")
    assert run("adapters", "restore", "colours@2").code == 0
    assert several.get("colours@2") == before
    assert content_digest(several.path("colours@2")) == before.digest


def test_what_is_tagged_is_not_removed(several: AdapterStore, run: Run) -> None:
    said = run("adapters", "rm", "colours@1", "--yes")
    assert (said.code, "is tagged 'best'" in said.err) == (2, True)
    assert several.has("colours@1")


def test_removing_asks_first(several: AdapterStore, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    import io
    import sys

    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"n\n")))
    assert run("adapters", "rm", "shapes").code == 130
    assert several.has("shapes")


def test_deleted_for_good(several: AdapterStore, run: Run) -> None:
    run("adapters", "rm", "shapes", "--yes")
    said = run("store", "gc", "--grace", "0")
    assert "1 deleted out of the trash" in said.out
    gone = run("adapters", "restore", "shapes@1")
    assert (gone.code, "were deleted: it cannot be brought back" in gone.err) == (2, True)
    assert not several.has("shapes@1")
    assert run("store", "verify").code == 0


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


def test_diff_shows_what_differs_and_nothing_else(several: AdapterStore, run: Run) -> None:
    said = run("adapters", "diff", "colours@1", "colours@2").out
    assert re.search(r"train rows +50 +8", said)
    assert re.search(r"exact-match +90% +40%", said)
    assert "template" not in said
    assert re.search(r"all +\d", said)
    other = run("adapters", "diff", "colours@1", "shapes", "--json")
    found = json.loads(other.out)
    assert found["differences"]["method"] == ["lora", "dora"]


# Weights


def pair(folder: Path, *, rank: int, alpha: float, seed: int, extra: bool = False, **config: Any) -> Path:
    """LoRA on two modules of two layers, and perhaps a magnitude."""
    folder.mkdir()
    draw = np.random.default_rng(seed)
    tensors: dict[str, np.ndarray] = {}
    for layer in (0, 1):
        for module in ("q_proj", "v_proj"):
            path = f"base_model.model.model.layers.{layer}.self_attn.{module}"
            tensors[f"{path}.lora_A.weight"] = draw.standard_normal((rank, 8), dtype=np.float32)
            tensors[f"{path}.lora_B.weight"] = draw.standard_normal((6, rank), dtype=np.float32)
    if extra:
        tensors["base_model.model.model.norm.weight"] = draw.standard_normal(8, dtype=np.float32)
    save_safetensors(folder / WEIGHTS, tensors)
    said = {"peft_type": "LORA", "r": rank, "lora_alpha": alpha, **config}
    (folder / "adapter_config.json").write_text(json.dumps(said))
    return folder


def dense(folder: Path, scale: float) -> dict[str, np.ndarray]:
    """Every change as a whole matrix."""
    from safetensors.numpy import load_file

    tensors = load_file(folder / WEIGHTS)
    return {
        name.removesuffix(".lora_A.weight"): scale * tensors[name.replace("lora_A", "lora_B")] @ tensors[name]
        for name in tensors
        if ".lora_A" in name
    }


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 5), st.integers(1, 5), st.integers(0, 99))
def test_norms_and_cosines_are_those_of_the_whole_matrices(first: int, second: int, seed: int) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        one = pair(Path(folder) / "one", rank=first, alpha=16, seed=seed)
        two = pair(Path(folder) / "two", rank=second, alpha=4, seed=seed + 1, use_rslora=True)
        a, b = dense(one, 16 / first), dense(two, 4 / np.sqrt(second))
        found = by_module(one, two)
    assert [moved.where for moved in found] == sorted(name.removeprefix("base_model.model.") for name in a)
    for moved in found:
        x, y = (each[f"base_model.model.{moved.where}"].astype("float64") for each in (a, b))
        assert moved.first == pytest.approx(np.linalg.norm(x), rel=1e-5)
        assert moved.second == pytest.approx(np.linalg.norm(y), rel=1e-5)
        assert moved.apart == pytest.approx(np.linalg.norm(x - y), rel=1e-4)
        assert moved.cosine == pytest.approx((x * y).sum() / np.linalg.norm(x) / np.linalg.norm(y), abs=1e-5)
    everything = whole("all", found)
    stacked = np.concatenate([(a[n] - b[n]).ravel() for n in a])
    assert everything.apart == pytest.approx(np.linalg.norm(stacked), rel=1e-4)
    assert [layer.where for layer in by_layer(found)] == ["layer 0", "layer 1"]


def test_an_adapter_is_where_it_is(tmp_path: Path) -> None:
    one = pair(tmp_path / "one", rank=2, alpha=2, seed=0, extra=True)
    moved = by_module(one, one)
    assert [each.cosine for each in moved] == pytest.approx([1.0] * 5)
    assert [each.apart for each in moved] == pytest.approx([0.0] * 5, abs=1e-5)
    two = pair(tmp_path / "two", rank=2, alpha=2, seed=0)
    (norm,) = [each for each in by_module(one, two) if each.where == "model.norm.weight"]
    assert (norm.second, norm.cosine) == (0, None)


# The store as a whole


def test_verify_names_what_is_damaged(several: AdapterStore, run: Run) -> None:
    sound = run("store", "verify")
    assert (sound.code, sound.out.endswith("sound\n")) == (0, True)
    path = several.path("shapes") / WEIGHTS
    path.write_bytes(path.read_bytes()[:-1] + b"\1")
    said = run("store", "verify")
    assert said.code == 1
    assert f"damaged: {path} is not as it was written" in said.out
    (fault,) = json.loads(run("store", "verify", "--json").out)["faults"]
    assert (fault["path"], fault["lost"]) == (str(path), True)


def test_info_counts(several: AdapterStore, run: Run) -> None:
    run("adapters", "rm", "both", "--yes")
    found = json.loads(run("store", "info", "--json").out)
    assert [found[key] for key in ("names", "versions", "removed", "tags", "objects")] == [2, 3, 1, 1, 4]
    assert found["bases"] == {"tiny-mistral": 2, "tiny-qwen": 1}
    assert "2 names, 3 versions, 1 removed" in run("store", "info").out


@pytest.mark.parametrize("command", [("store", "info"), ("store", "verify"), ("store", "gc"), ("adapters", "list")])
def test_no_store_yet(command: tuple[str, ...], home: Path, run: Run) -> None:
    assert run(*command).code == 0
    assert not (home / "store").exists()
