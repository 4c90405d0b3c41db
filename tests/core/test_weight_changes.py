"""What two adapters do to the weights, compared with whole matrices."""

from __future__ import annotations

import json
import re
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import Said
from hypothesis import given, settings
from hypothesis import strategies as st
from kept_adapters import WEIGHTS, draft, save_safetensors

from graftlm.judging import stored_tensors
from graftlm.judging.weight_changes import Moved, by_layer, compare_weights, whole
from graftlm_registry.adapters import AdapterStore
from graftlm_registry.adapters.content import content_digest

Run = Callable[..., Said]


@pytest.fixture
def store(home: Path) -> AdapterStore:
    return AdapterStore(home / "store")


def by_module(one: Path, two: Path) -> list[Moved]:
    return compare_weights(one, two).moved


def pair(
    folder: Path, *, rank: int, alpha: float, seed: int, extra: dict[str, np.ndarray] | None = None, **config: Any
) -> Path:
    """LoRA on two modules of two layers, and perhaps more."""
    folder.mkdir()
    draw = np.random.default_rng(seed)
    tensors: dict[str, np.ndarray] = {}
    for layer in (0, 1):
        for module in ("q_proj", "v_proj"):
            path = f"base_model.model.model.layers.{layer}.self_attn.{module}"
            tensors[f"{path}.lora_A.weight"] = draw.standard_normal((rank, 8), dtype=np.float32)
            tensors[f"{path}.lora_B.weight"] = draw.standard_normal((6, rank), dtype=np.float32)
    tensors |= {f"base_model.model.{name}": tensor for name, tensor in (extra or {}).items()}
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
    one = pair(tmp_path / "one", rank=2, alpha=2, seed=0)
    moved = by_module(one, one)
    assert [each.cosine for each in moved] == pytest.approx([1.0] * 4)
    assert [each.apart for each in moved] == pytest.approx([0.0] * 4, abs=1e-5)


def test_what_stands_for_itself_is_no_change(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """DoRA's magnitudes and whole modules are near the base's own: as changes they would make any two alike."""
    monkeypatch.setattr(stored_tensors, "PIECE", 3)
    magnitude = "model.layers.0.self_attn.q_proj.lora_magnitude_vector"
    mine = {magnitude: np.full(6, 9, np.float32), "model.norm.weight": np.ones((2, 4), np.float32)}
    theirs = {magnitude: np.full(6, 10, np.float32), "lm_head.weight": np.ones(3, np.float32)}
    one = pair(tmp_path / "one", rank=2, alpha=2, seed=0, extra=mine)
    two = pair(tmp_path / "two", rank=2, alpha=2, seed=1, extra=theirs)
    found = compare_weights(one, two)
    assert found.direction_only
    assert {each.where: (each.apart, each.has) for each in found.apart} == {
        magnitude: (pytest.approx(np.sqrt(6)), "both"),
        "model.norm.weight": (None, "first"),
        "lm_head.weight": (None, "second"),
    }
    plain = [pair(tmp_path / f"plain-{i}", rank=2, alpha=2, seed=i) for i in (0, 1)]
    assert found.moved == by_module(*plain)
    assert not compare_weights(*plain).direction_only


def test_a_convolution_is_a_matrix(tmp_path: Path) -> None:
    draw = np.random.default_rng(0)
    changes, folders = [], []
    for number in (0, 1):
        a, b = (draw.standard_normal(shape, dtype=np.float32) for shape in ((2, 3, 5, 5), (4, 2, 1, 1)))
        extra = {"conv.lora_A.weight": a, "conv.lora_B.weight": b}
        folders.append(pair(tmp_path / str(number), rank=2, alpha=6, seed=0, extra=extra))
        changes.append(3 * np.einsum("or,rihw->oihw", b[:, :, 0, 0], a))
    (conv,) = [moved for moved in by_module(*folders) if moved.where == "conv"]
    assert conv.first == pytest.approx(np.linalg.norm(changes[0]), rel=1e-5)
    assert conv.inner == pytest.approx((changes[0] * changes[1]).sum(), rel=1e-4)


def test_fused_experts_are_matrices_of_their_own(tmp_path: Path) -> None:
    """PEFT keeps A's with the expert first, and B's with the expert last."""
    draw = np.random.default_rng(0)
    changes, folders = [], []
    for number in (0, 1):
        a, b = (draw.standard_normal(shape, dtype=np.float32) for shape in ((6, 5), (4, 6)))
        extra = {"experts.lora_A.weight": a, "experts.lora_B.weight": b}
        config = {"target_parameters": ["experts.up"]}
        folders.append(pair(tmp_path / str(number), rank=2, alpha=6, seed=0, extra=extra, **config))
        changes.append(3 * np.einsum("ore,eri->eoi", b.reshape(4, 2, 3), a.reshape(3, 2, 5)))
    (experts,) = [moved for moved in by_module(*folders) if moved.where == "experts"]
    assert experts.first == pytest.approx(np.linalg.norm(changes[0]), rel=1e-5)
    assert experts.inner == pytest.approx((changes[0] * changes[1]).sum(), rel=1e-4)


def test_diff_tells_pairs_and_the_rest_apart(store: AdapterStore, tmp_path: Path, run: Run) -> None:
    for number in (0, 1):
        extra = {"model.layers.0.self_attn.q_proj.lora_magnitude_vector": np.full(6, number, np.float32)}
        folder = pair(tmp_path / str(number), rank=2, alpha=2, seed=number, extra=extra)
        staged = store.stage()
        shutil.copytree(folder, staged, dirs_exist_ok=True)
        store.publish(staged, replace(draft(content_digest(staged), name="dora", run=str(number)), method="dora"))
    said = run("adapters", "diff", "dora@1", "dora@2").out
    assert "what they add to the weights, direction only, before the magnitudes" in said
    assert re.search(r"q_proj\.lora_magnitude_vector +2\.449$", said, re.MULTILINE)
    found = json.loads(run("adapters", "diff", "dora@1", "dora@2", "--json").out)
    assert [row["where"] for row in found["weights"]] == ["layer 0", "layer 1"]
    assert all(abs(row["cosine"]) < 0.9 for row in found["weights"])
