"""``graftlm adapters combine``: the numbers are those of the formulas, and the result is an adapter like any other."""

from __future__ import annotations

import functools
import json
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from safetensors.torch import load_file
from test_from_adapter import World, little_to_collect

from graftlm.cli.adapters.combine import combine as command
from graftlm.contracts.errors import GraftlmError, RunError, StoreError, UsageError
from graftlm.running import combine as combining
from graftlm.running.answer import answer
from graftlm.running.combine import Combined, plan_of, read_weights
from graftlm.running.merge import merge
from graftlm.running.parents import parents_of
from graftlm.testing.in_process import start_in_process
from graftlm_registry.adapters import open_store
from graftlm_registry.adapters.content import content_files
from graftlm_registry.plugins import registry

TENSORS, CONFIG = "adapter_model.safetensors", "adapter_config.json"
SHORT: dict[str, Any] = {"max_steps": 3, "rank": 4, "alpha": 8.0}
RUNS: Mapping[str, Mapping[str, Any]] = {
    "a": {**SHORT, "seed": 1},
    "b": {**SHORT, "seed": 2, "alpha": 12.0},
    "wide": {**SHORT, "rank": 8, "seed": 3},
    "narrow": {**SHORT, "target_modules": "q_proj"},
    "scaled": {**SHORT, "method": "rslora"},
    "pissa": {**SHORT, "method": "pissa", "learning_rate": 5e-3},
    "dora": {**SHORT, "method": "dora"},
    "full": {"method": "full", "max_steps": 2},
    "headed": {**SHORT, "options": {"method": {"modules_to_save": ["lm_head"]}}},
    "upper": {**SHORT, "options": {"method": {"layers_to_transform": [1]}}},
    "patterned": {**SHORT, "options": {"method": {"rank_pattern": {"q_proj": 6}, "alpha_pattern": {"k_proj": 3}}}},
    "half": {**SHORT, "dtype": "bf16"},
    "own": {**SHORT, "template": "model"},
}
Matrices = Mapping[str, tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]]


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory, _probed: Path) -> Iterator[World]:
    world = World(tmp_path_factory.mktemp("combine"), _probed)
    with little_to_collect():
        world.train_all(RUNS)
        yield world


@pytest.fixture
def world(built: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    built.copy(tmp_path / "graftlm", monkeypatch)
    return built


def combine(*given: str, way: str = "cat", name: str = "both", **settings: Any) -> Combined:
    weights = read_weights(given)
    parents = parents_of([reference for reference, _ in weights], registry())
    plan = plan_of(parents.combining, way, [weight for _, weight in weights], **settings)
    return combining.combine(parents, plan, lambda event: None, registry(), name=name, start=start_in_process)


def factors(reference: str) -> tuple[Matrices, Mapping[str, Any]]:
    """A and B of each layer, and the configuration, read from the store's files alone."""
    folder = open_store().path(reference)
    tensors = {name: tensor.double().numpy() for name, tensor in load_file(folder / TENSORS).items()}
    paths = sorted({name.partition(".lora_")[0] for name in tensors})
    found = {path: (tensors[f"{path}.lora_A.weight"], tensors[f"{path}.lora_B.weight"]) for path in paths}
    return found, json.loads((folder / CONFIG).read_text(encoding="utf-8"))


def scaling(config: Mapping[str, Any], path: str) -> float:
    last = path.rpartition(".")[2]
    rank = config["rank_pattern"].get(last, config["r"])
    alpha = config["alpha_pattern"].get(last, config["lora_alpha"])
    return float(alpha / (rank**0.5 if config["use_rslora"] else rank))


def changes(reference: str) -> Mapping[str, np.ndarray[Any, Any]]:
    """What the adapter adds to each weight."""
    found, config = factors(reference)
    return {path: scaling(config, path) * (b.astype(float) @ a.astype(float)) for path, (a, b) in found.items()}


def weighted(*given: tuple[str, float]) -> dict[str, np.ndarray[Any, Any]]:
    total: dict[str, np.ndarray[Any, Any]] = {}
    for reference, weight in given:
        for path, change in changes(reference).items():
            total[path] = total.get(path, 0) + weight * change
    return total


def close(found: Mapping[str, np.ndarray[Any, Any]], wanted: Mapping[str, np.ndarray[Any, Any]]) -> float:
    """The largest difference, as a share of the largest number."""
    assert found.keys() == wanted.keys()
    largest = max(float(np.abs(each).max()) for each in wanted.values())
    return max(float(np.abs(found[path] - wanted[path]).max()) for path in wanted) / largest


@pytest.mark.parametrize(
    ("given", "rank"),
    [
        (("a=0.7", "b=0.3"), 8),
        (("a=1", "wide=-0.5"), 12),
        (("narrow=0.6", "b=0.4"), 8),
        (("scaled=0.5", "a=0.5"), 8),
        (("a=0.5", "scaled=0.5"), 8),
        (("pissa=0.8", "a=0.2"), 12),
        (("patterned=0.5", "b=0.5"), 10),
        (("a=0.2", "b=0.3", "wide=0.5"), 16),
    ],
)
def test_cat_is_the_exact_weighted_sum(world: World, given: tuple[str, ...], rank: int) -> None:
    """Whatever the ranks, scalings and modules of the parents."""
    made = combine(*given)
    assert close(changes("both"), weighted(*read_weights(given))) < 1e-6
    config = factors("both")[1]
    assert (config["r"], config["lora_alpha"], config["use_rslora"]) == (rank, rank, False)
    assert made.record.hyperparameters["rank"] == rank
    assert made.record.proof.effect > 0.01
    assert made.record.proof.reload < 1e-4


@pytest.mark.parametrize(("rank", "left"), [(None, 4), (6, 6), (2, 2), (8, 8)])
def test_svd_is_the_best_of_its_rank(world: World, rank: int | None, left: int) -> None:
    """By numpy's own decomposition of the whole sum (Eckart and Young 1936)."""
    combine("a=0.7", "b=0.3", way="svd", rank=rank)
    whole = weighted(("a", 0.7), ("b", 0.3))
    best = {}
    for path, change in whole.items():
        u, values, vh = np.linalg.svd(change, full_matrices=False)
        best[path] = (u[:, :left] * values[:left]) @ vh[:left]
    assert close(changes("both"), best) < 1e-5
    assert factors("both")[1]["r"] == left
    assert (close(changes("both"), whole) < 1e-5) == (left == 8)


def roots(sign: bool, given: Sequence[tuple[str, float]], path: str) -> list[float]:
    """The square roots of weight times scaling; the sign stands at A alone."""
    found = []
    for reference, weight in given:
        product = weight * scaling(factors(reference)[1], path)
        found.append(abs(product) ** 0.5 * (-1 if sign and product < 0 else 1))
    return found


def largest(matrix: np.ndarray[Any, Any], density: float) -> np.ndarray[Any, Any]:
    """The share of largest numbers, the others 0."""
    flat = np.abs(matrix).ravel()
    kept = np.argsort(-flat, kind="stable")[: int(density * flat.size)]
    mask = np.zeros(flat.size)
    mask[kept] = 1
    return matrix * mask.reshape(matrix.shape)


def reference(way: str, given: Sequence[tuple[str, float]], density: float) -> Matrices:
    """The formulas of the papers on each factor, in numpy."""
    parents = [factors(name)[0] for name, _ in given]
    made = {}
    for path in parents[0]:
        sides = []
        for side in (0, 1):
            matrices = [parent[path][side].astype(float) for parent in parents]
            weights = np.array(roots(side == 0, given, path))[:, None, None]
            if way != "linear":
                matrices = [largest(matrix, density) for matrix in matrices]
            stack = np.stack(matrices)
            if way != "ties":
                sides.append((weights * stack).sum(0))
                continue
            elected = np.where(stack.sum(0) >= 0, 1, -1)
            agree = np.sign(stack) == elected
            sides.append((weights * stack * agree).sum(0) / np.maximum(agree.sum(0), 1))
        made[path] = (sides[0], sides[1])
    return made


@pytest.mark.parametrize("way", ["linear", "magnitude_prune", "ties"])
@pytest.mark.parametrize("given", [("a=0.7", "b=0.3"), ("a=1.5", "b=-0.5")])
def test_the_ways_that_add_factors_are_their_formulas(world: World, way: str, given: tuple[str, ...]) -> None:
    """And none of them is the sum of what the adapters do."""
    density = None if way == "linear" else 0.6
    combine(*given, way=way, density=density)
    found, config = factors("both")
    wanted = reference(way, read_weights(given), density or 1)
    for path, (a, b) in found.items():
        for mine, theirs in zip((a, b), wanted[path], strict=True):
            assert np.abs(mine - theirs).max() < 1e-5 * np.abs(theirs).max()
    assert (config["r"], config["lora_alpha"]) == (4, 4)
    assert close(changes("both"), weighted(*read_weights(given))) > 0.05


@pytest.mark.parametrize("way", ["dare_linear", "dare_ties"])
def test_what_is_drawn_is_drawn_again_from_the_same_seed(world: World, way: str) -> None:
    first = combine("a=0.7", "b=0.3", way=way, density=0.7, seed=5, name="first").record
    torch.manual_seed(99)
    again = combine("a=0.7", "b=0.3", way=way, density=0.7, seed=5, name="again").record
    other = combine("a=0.7", "b=0.3", way=way, density=0.7, seed=6, name="other").record
    assert first.digest == again.digest
    assert other.digest != first.digest
    assert (first.hyperparameters["seed"], first.hyperparameters["density"]) == (5, 0.7)
    one, parents = factors("first")[0], [factors(name)[0] for name in ("a", "b")]
    whole = reference("linear", [("a", 0.7), ("b", 0.3)], 1)
    for side in (0, 1):  # each number of a parent is dropped, or divided by the density
        dropped = 0
        for path, pair in one.items():
            weights = roots(side == 0, [("a", 0.7), ("b", 0.3)], path)
            terms = [w * parent[path][side].astype(float) for w, parent in zip(weights, parents, strict=True)]
            if way == "dare_linear":
                choices = [x * terms[0] / 0.7 + y * terms[1] / 0.7 for x in (0, 1) for y in (0, 1)]
                nearest = np.min([np.abs(pair[side] - choice) for choice in choices], axis=0)
                assert nearest.max() < 1e-5 * np.abs(whole[path][side]).max()
            dropped += int((pair[side] == 0).sum())
        size = sum(pair[side].size for pair in one.values())
        assert 0.02 < dropped / size < 0.2  # both dropped: 0.09 of them are expected


def test_density_1_keeps_everything(world: World) -> None:
    linear = combine("a=0.7", "b=0.3", way="linear", name="one").record
    for way in ("magnitude_prune", "dare_linear"):
        assert combine("a=0.7", "b=0.3", way=way, density=1.0, name="other").record.digest == linear.digest


def test_the_record_says_what_it_is_made_of(world: World) -> None:
    made = combine("a@1=0.7", "b=0.3", way="ties", density=0.4)
    record, parent = made.record, open_store().get("a")
    assert record == open_store().get("both")
    assert (record.reference, record.origin, record.kind) == ("both@1", "combined", "adapter")
    assert (record.method, record.parents) == ("lora", ("a@1", "b@1"))
    assert (record.run, record.data_digest, record.plan_hash, record.source) == ("", "", "", "")
    assert (dict(record.split_rows), record.scores, record.changes) == ({}, (), ())
    assert (record.final_loss, record.validation_loss) == (None, None)
    known = record.hyperparameters
    assert (known["combination"], known["weights"], known["density"]) == ("ties", [0.7, 0.3], 0.4)
    assert "seed" not in known
    assert (known["rank"], known["alpha"], known["dropout"]) == (4, 4.0, parent.hyperparameters["dropout"])
    assert sorted(known["target_modules"]) == sorted(parent.hyperparameters["target_modules"])
    assert known["encoding"] == parent.hyperparameters["encoding"]
    for name in ("base", "load", "template", "template_hash", "tokenizer_hash", "quantization", "thinking"):
        assert getattr(record, name) == getattr(parent, name), name
    effective = record.effective
    assert effective.adapted_modules == parent.effective.adapted_modules
    assert effective.trainable_parameters == parent.effective.trainable_parameters
    assert (effective.backend, effective.loss, effective.batch_size) == ("", "", 0)
    assert record.proof.base_after == parent.base.weights_digest
    assert combine("a=0.7", "b=0.3", way="ties", density=0.4).record.reference == "both@1"  # the same once more
    assert combine("a=0.6", "b=0.4", way="ties", density=0.4).record.reference == "both@2"


def test_it_is_an_adapter_like_any_other(world: World, tmp_path: Path) -> None:
    """It answers, plain PEFT loads it, it is merged, trained on, and combined again."""
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    record = combine("a=0.7", "narrow=0.3", way="svd", rank=5).record
    assert answer("both", ["Name the colour."], registry(), lambda event: None, 4, start=start_in_process)
    ids = torch.arange(8, 40)[None]
    base = AutoModelForCausalLM.from_pretrained(world.model, dtype=torch.float32)
    with torch.inference_mode():
        plain = base(input_ids=ids).logits
        tuned = PeftModel.from_pretrained(base, open_store().path("both"))(input_ids=ids).logits
    merged = merge("both", tmp_path / "out", registry(), lambda event: None, start=start_in_process)
    with torch.inference_mode():
        whole = AutoModelForCausalLM.from_pretrained(tmp_path / "out", dtype=torch.float32)(input_ids=ids).logits
    assert (tuned - plain).abs().max() > 0.01
    assert (whole - tuned).abs().max() < 1e-4
    assert merged.difference < 1e-4
    after = world.train(from_adapter="both", name="further", max_steps=3)
    assert after.record.parents == (record.reference,)
    assert after.outcome.losses[-1] < after.outcome.first_loss
    combine("both=0.5", "b=0.5", name="again")
    assert close(changes("again"), weighted(("both", 0.5), ("b", 0.5))) < 1e-6


def test_quantized_and_half_precision_bases(world: World) -> None:
    """The base is loaded as the parents' was; the numbers are the same formulas."""
    for name, settings in (("q1", {"quantization": "nf4"}), ("q2", {"quantization": "nf4", "seed": 7})):
        world.train(model=str(world.model), dtype="fp32", name=name, **{**SHORT, **settings})
    record = combine("q1=0.5", "q2=0.5").record
    assert close(changes("both"), weighted(("q1", 0.5), ("q2", 0.5))) < 1e-6
    assert (record.quantization, record.effective.quantized_layers) == ("nf4", 14)
    world.train(model=str(world.model), name="half2", **{**SHORT, "dtype": "bf16", "seed": 8})
    record = combine("half=0.5", "half2=0.5", name="halves").record
    assert close(changes("halves"), weighted(("half", 0.5), ("half2", 0.5))) < 1e-6
    assert record.effective.dtype == "bf16"
    record = combine("half=0.7", "half2=0.3", way="linear", name="lines").record
    wanted = reference("linear", [("half", 0.7), ("half2", 0.3)], 1)
    for path, pair in factors("lines")[0].items():
        for mine, theirs in zip(pair, wanted[path], strict=True):
            assert np.abs(mine - theirs).max() < 1e-5 * np.abs(theirs).max()


REFUSED = [
    (("a=0.5", "wide=0.5"), {"way": "linear"}, "linear needs adapters of the same rank, and these have a@1 4, wide@1"),
    (("a=0.5", "wide=0.5"), {"way": "ties"}, "ties needs adapters of the same rank"),
    (("a=0.5", "patterned=0.5"), {"way": "linear"}, "linear needs one rank, and patterned@1 has others"),
    (("a=0.5", "dora=0.5"), {}, "dora@1 cannot be combined: it has method dora, and only .* lora, rslora, pissa"),
    (("full=0.5", "a=0.5"), {}, "full@1 cannot be combined: it has method full"),
    (("a=0.5", "headed=0.5"), {}, "headed@1 cannot be combined: it keeps whole modules"),
    (("a=0.5", "upper=0.5"), {}, "do not adapt the same layers"),
    (("a=0.5", "half=0.5"), {}, r"do not have the same precision of the base \(fp32 and bf16\)"),
    (("a=0.5", "own=0.5"), {}, r"do not have the same template \(mistral-v\d and model\)"),
    (("a=0.5", "a@1=0.5"), {}, "a@1 is named twice"),
    (("a=0.5",), {}, "two adapters or more"),
    (("a=0.5", "b"), {}, "'b' is not NAME=WEIGHT, such as b=0.5"),
    (("a=0.5", "b="), {}, "'b=' is not NAME=WEIGHT"),
    (("a=0.5", "=0.5"), {}, "'=0.5' is not NAME=WEIGHT"),
    (("a=0.5", "b=nan"), {}, "'b=nan' is not NAME=WEIGHT"),
    (("a=0.5", "b=0"), {}, "b=0: the weight must be a finite number, and not 0"),
    (("a=0.5", "b=inf"), {}, "b=inf: the weight must be a finite"),
    (("a=0.5", "nobody=0.5"), {}, "nobody"),
    (("a=0.5", "b=0.5"), {"way": "mean"}, "there is no combination mean: choose one of linear, cat, svd"),
    (("a=0.5", "b=0.5"), {"rank": 4}, "--rank 4: cat has none; it is for svd"),
    (("a=0.5", "b=0.5"), {"way": "svd", "rank": 0}, "a rank is 1 or more"),
    (("a=0.5", "b=0.5"), {"way": "svd", "rank": 9}, "rank 9 is more than all of them have together, 8"),
    (("a=0.5", "b=0.5"), {"density": 0.5}, "--density 0.5: cat has none; it is for ties, dare_ties"),
    (("a=0.5", "b=0.5"), {"way": "ties", "density": 0.0}, "--density 0: it is a share"),
    (("a=0.5", "b=0.5"), {"way": "ties", "seed": 1}, "--seed 1: ties has none; it is for dare_ties, dare_linear"),
    (("a=0.5", "b=0.5"), {"name": "Both Of Them"}, "is not a name"),
]


@pytest.mark.parametrize(("given", "settings", "words"), REFUSED, ids=[words[:40] for _, _, words in REFUSED])
def test_what_cannot_be_is_one_sentence_before_anything_is_loaded(
    world: World, monkeypatch: pytest.MonkeyPatch, given: tuple[str, ...], settings: Mapping[str, Any], words: str
) -> None:
    monkeypatch.setattr("graftlm.worker.load.load_base", None)
    with pytest.raises(GraftlmError, match=words) as caught:
        combine(*given, **settings)
    assert caught.value.exit_code == 2
    assert "\n" not in str(caught.value)
    assert not open_store().has("both")


def test_adapters_that_take_each_other_away_are_refused(world: World) -> None:
    store, staged = open_store(), open_store().stage()
    for file in content_files(store.path("a")):
        shutil.copyfile(file, staged / file.name)
    store.publish(staged, replace(store.get("a"), name="twin", version=0))
    with pytest.raises(RunError, match=r"changes nothing.*give other weights"):
        combine("a=1", "twin=-1")
    assert not open_store().has("both")
    assert not list((world.home / "store").glob("**/fresh*"))


def test_damaged_files_of_a_parent_are_refused(world: World) -> None:
    (path,) = open_store().path("b").glob("*.safetensors")
    path.chmod(0o644)
    content = path.read_bytes()
    path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    with pytest.raises((StoreError, UsageError), match="the files of b@1"):
        combine("a=0.5", "b=0.5")


def test_the_command(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(combining, "combine", functools.partial(combining.combine, start=start_in_process))
    said = CliRunner().invoke(command, ["a=1", "b=0.5", "--combination", "dare_ties", "--seed", "3", "--json"])
    assert said.exit_code == 0, said.output
    told = json.loads(said.stdout)
    assert (told["adapter"], told["parents"], told["weights"]) == ("a-b@1", ["a@1", "b@1"], [1.0, 0.5])
    assert (told["combination"], told["density"], told["seed"], told["rank"]) == ("dare_ties", 0.5, 3, 4)
    said = CliRunner().invoke(command, ["a=1", "b=0.5", "--name", "sum"])
    assert said.exit_code == 0, said.output
    for words in ("combined 1 × a@1 + 0.5 × b@1 by cat: sum@1, of rank 8", "sum to 1.5", "loaded again"):
        assert words in said.stdout
    said = CliRunner().invoke(command, ["a=0.5", "b=0.5", "--name", "mean"])
    assert "sum to" not in said.stdout
    several = ["a=1", "b=1", "--combination", "cat", "--combination", "svd"]
    assert isinstance(CliRunner().invoke(command, several).exception, UsageError)
