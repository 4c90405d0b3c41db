"""``--from-adapter``: a run goes on where another ended, on the same base, in the same words, or it is refused."""

from __future__ import annotations

import gc
import json
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from conftest import alpaca_rows
from small_models import small_model
from test_front_imports import HEAVY

from graftlm.contracts.config import RunConfig
from graftlm.contracts.errors import GraftlmError, StoreError, UsageError
from graftlm.contracts.plan import Plan
from graftlm.planning.resolve import resolve
from graftlm.running.answer import answer
from graftlm.running.merge import merge
from graftlm.running.train import Trained, carry_out
from graftlm.testing.in_process import start_in_process
from graftlm_registry.adapters import open_store
from graftlm_registry.plugins import registry

ROWS = 16
"""All of them in each step, so that one run's last loss and the next one's first are of the same rows."""
RICH: dict[str, Any] = {
    "rank": 4, "alpha": 12.0, "target_modules": "q_proj,down_proj", "rope": "linear:2", "quantization": "nf4",
    "template": "model",
    "options": {"method": {"use_rslora": True}, "quantization": {"double_quant": False}},
}  # fmt: skip
PARENTS: Mapping[str, Mapping[str, Any]] = {
    "rich": RICH,
    "dora": {"method": "dora", "rank": 4},
    "pissa": {"method": "pissa", "rank": 4, "alpha": 8.0, "learning_rate": 5e-3},
    "olora": {
        "method": "olora",
        "rank": 4,
        "alpha": 4.0,
        "learning_rate": 5e-3,
        "options": {"method": {"use_rslora": True}},
    },
    "loha": {"method": "loha", "rank": 4, "alpha": 8.0},
    "saved": {
        "dtype": "bf16",
        "learning_rate": 5e-3,
        "options": {"method": {"modules_to_save": ["lm_head"], "bias": "lora_only"}},
    },
    "full": {"method": "full", "learning_rate": 3e-3},
    "full-bf16": {"method": "full", "learning_rate": 3e-3, "dtype": "bf16"},
    "freeze": {"method": "freeze", "learning_rate": 5e-3, "options": {"method": {"layers": 1, "embeddings": True}}},
}
STILL: dict[str, Any] = {"learning_rate": 1e-9, "max_steps": 1}
"""Nothing moves: what is kept is what was started from."""


class World:
    """A base, rows, and a home of its own, in which runs are carried out in this process."""

    def __init__(self, folder: Path, probed: Path, architecture: str = "mistral") -> None:
        self.folder, self.home = folder, folder / "home"
        self.model = small_model(architecture, folder)
        self.rows = folder / "rows.jsonl"
        self.rows.write_text("".join(json.dumps(row) + "\n" for row in alpaca_rows(ROWS)), encoding="utf-8")
        (self.home / "cache").mkdir(parents=True)
        (self.home / "probes").symlink_to(probed / "probes")
        self.losses: dict[str, tuple[float, ...]] = {}

    def plan(self, **settings: Any) -> Plan:
        given: dict[str, Any] = {
            "data": str(self.rows), "device": "cpu", "max_steps": 10, "batch_size": ROWS, "micro_batch": ROWS,
            "learning_rate": 2e-2, "retention": False, "val_split": 0.0, "test_split": 0.0, "seed": 1, **settings,
        }  # fmt: skip
        return resolve(RunConfig(**given), registry())

    def train(self, **settings: Any) -> Trained:
        return carry_out(self.plan(**settings), registry(), lambda event: None, start=start_in_process)

    def train_all(self, runs: Mapping[str, Mapping[str, Any]]) -> None:
        """Each under its name, in fp32 where nothing else is said."""
        with pytest.MonkeyPatch.context() as patched:
            patched.setenv("GRAFTLM_HOME", str(self.home))
            for name, settings in runs.items():
                given = {"model": str(self.model), "dtype": "fp32", "name": name, **settings}
                self.losses[name] = self.train(**given).outcome.losses

    def copy(self, target: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """The home with its runs is copied, to be damaged at will, and is graftlm's from here on."""
        shutil.copytree(self.home, target, symlinks=True)
        monkeypatch.setenv("GRAFTLM_HOME", str(target))


@contextmanager
def little_to_collect() -> Iterator[None]:
    """Each run collects what it leaves, and the libraries' own objects would take most of that time."""
    gc.collect()
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory, _probed: Path) -> Iterator[World]:
    world = World(tmp_path_factory.mktemp("from-adapter"), _probed)
    with little_to_collect():
        world.train_all(PARENTS)
        yield world


@pytest.fixture
def world(built: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    built.copy(tmp_path / "graftlm", monkeypatch)
    return built


def tensors(reference: str) -> dict[str, Any]:
    from safetensors.torch import load_file

    (path,) = open_store().path(reference).glob("*.safetensors")
    return dict(load_file(path))


@pytest.mark.parametrize("parent", PARENTS)
def test_it_goes_on_where_the_parent_ended(world: World, parent: str) -> None:
    """The same weights, the loss that they have, and further down from there."""
    import torch

    still = world.train(from_adapter=parent, name="still", **STILL)
    before, after = tensors(f"{parent}@1"), tensors("still@1")
    assert before.keys() == after.keys()
    for name, tensor in before.items():
        assert tensor.dtype == after[name].dtype
        assert torch.allclose(tensor.float(), after[name].float(), atol=1e-6), name
    fresh, ended = world.losses[parent][0], world.losses[parent][-1]
    assert ended < fresh - 0.3, "the parent has learnt nothing: the test shows nothing"
    begins = still.outcome.first_loss
    assert abs(begins - ended) < 0.25 * (fresh - ended)
    gentle = PARENTS[parent].get("learning_rate", 2e-2) / 10  # the optimizer begins anew
    further = world.train(from_adapter=parent, name="further", max_steps=6, learning_rate=gentle)
    assert further.outcome.first_loss == pytest.approx(begins, abs=1e-5)
    assert further.outcome.losses[-1] < begins - 0.01
    assert further.record.parents == (f"{parent}@1",)
    assert further.outcome.proof.effect > still.outcome.proof.effect / 2


def test_what_the_parent_is_the_child_is(world: World) -> None:
    plan = world.plan(from_adapter="rich")
    theirs = open_store().get("rich")
    assert plan.problems == ()
    assert plan.method.name == theirs.method == "lora"
    assert (plan.method.rank, plan.method.alpha, plan.method.target_modules) == (4, 12.0, ("q_proj", "down_proj"))
    assert plan.method.options["use_rslora"] is True
    assert plan.load == theirs.load
    assert (plan.load.quantization, plan.load.options["double_quant"]) == ("nf4", False)
    assert plan.load.rope is not None
    assert (plan.load.rope.kind, plan.load.rope.factor, plan.load.rope.context) == ("linear", 2.0, 256)
    assert plan.template.name == theirs.template == "model"
    assert plan.template.hash == theirs.template_hash
    assert plan.model.reference == str(world.model)
    assert (plan.method.parent, plan.method.parent_digest) == ("rich@1", theirs.digest)
    assert {plan.origins[name] for name in ("method", "rank", "quantization", "template")} == {"parent"}
    anew = world.plan(**RICH, model=str(world.model), dtype="fp32")
    assert anew.hash != plan.hash  # the weights that it begins with are part of the work


def test_the_child_s_record_is_whole(world: World) -> None:
    """It answers and is merged as any other, and a child of the child goes on from it."""
    child = world.train(from_adapter="rich", name="child", max_steps=2)
    assert child.record.effective.adapted_modules == {"q_proj": 2, "down_proj": 2}
    assert child.record.effective.quantized_layers == 14
    assert child.record.effective.rope["factor"] == 2.0
    assert len(answer("child", ["Name the colour."], registry(), lambda event: None, 3, start=start_in_process)) == 1
    grandchild = world.train(from_adapter="child", name="grandchild", max_steps=1)
    assert grandchild.record.parents == ("child@1",)
    assert grandchild.outcome.first_loss < child.outcome.first_loss


def test_a_start_from_the_base_s_weights_is_kept_doubled_once(world: World, tmp_path: Path) -> None:
    """PiSSA's files have twice the rank, a child's as many, and a grandchild's too."""
    shapes = {name: tensor.shape for name, tensor in tensors("pissa@1").items()}
    assert all(8 in shape for shape in shapes.values())
    world.train(from_adapter="pissa", name="child", **STILL)
    world.train(from_adapter="child", name="grandchild", **STILL)
    for reference in ("child@1", "grandchild@1"):
        assert {name: tensor.shape for name, tensor in tensors(reference).items()} == shapes
        assert open_store().get(reference).hyperparameters["rank"] == 4
    merged = merge("grandchild", tmp_path / "merged", registry(), lambda event: None, start=start_in_process)
    assert merged.difference < 1e-4 < merged.effect


def test_a_name_means_the_version_that_was_newest_when_it_was_planned(world: World) -> None:
    plan = world.plan(from_adapter="dora", name="dora", **STILL)
    assert plan.method.parent == "dora@1"
    first = carry_out(plan, registry(), lambda event: None, start=start_in_process)
    assert (first.record.reference, first.record.parents) == ("dora@2", ("dora@1",))
    assert world.plan(from_adapter="dora").method.parent == "dora@2"
    assert world.plan(from_adapter="dora@1").method.parent == "dora@1"


CONTRADICTIONS: tuple[tuple[str, dict[str, Any], tuple[str, ...]], ...] = (
    ("rich", {"method": "dora"}, ("--method dora", "has method lora")),
    ("rich", {"rank": 8}, ("--rank 8", "has rank 4", "leave it out")),
    ("rich", {"alpha": 8.0}, ("--alpha 8", "has alpha 12")),
    ("rich", {"dropout": 0.1}, ("--dropout 0.1", "has dropout 0")),
    ("rich", {"target_modules": "attention"}, ("--target-modules attention", "has target modules down_proj, q_proj")),
    ("rich", {"rope": "linear:4"}, ("--rope linear:4", "was trained with RoPE linear by 2")),
    ("rich", {"rope": "dynamic:2"}, ("--rope dynamic:2", "was trained with RoPE linear by 2")),
    ("dora", {"rope": "linear:2"}, ("--rope linear:2", "the RoPE of its base", "leave it out")),
    ("dora", {"context_length": 256}, ("--context-length 256", "the RoPE of its base")),
    ("full", {"rank": 8}, ("--rank", "method full has no such setting")),
    ("full", {"method": "lora"}, ("--method lora", "has method full")),
    ("full", {"quantization": "nf4"}, ("full", "--quantization none")),
    ("rich", {"options": {"method": {"use_dora": True}}}, ("--set method", "its own options")),
    ("freeze", {"options": {"method": {"layers": 2}}}, ("--set method", "its own options")),
    ("rihc", {}, ("rihc", "rich")),
    ("rich@2", {}, ("no version 2",)),
)


def flags(settings: Mapping[str, Any]) -> list[str]:
    options = settings.get("options", {}).items()
    given = [part for name, value in settings.items() if name != "options"
             for part in (f"--{name.replace('_', '-')}", str(value))]  # fmt: skip
    sets = [f"{kind}.{name}={value}" for kind, values in options for name, value in values.items()]
    return [*given, *(part for each in sets for part in ("--set", each))]


@pytest.mark.parametrize(
    ("parent", "settings", "words"), CONTRADICTIONS, ids=lambda v: " ".join(flags(v)) if isinstance(v, dict) else ""
)
def test_what_contradicts_the_parent_is_an_error(
    world: World, parent: str, settings: dict[str, Any], words: tuple[str, ...]
) -> None:
    with pytest.raises(GraftlmError) as refused:
        raise_problems(world.plan(from_adapter=parent, **settings))
    message = str(refused.value)
    assert refused.value.exit_code == 2
    for word in words:
        assert word in message, message


@pytest.mark.parametrize(("parent", "method"), [("dora", "loha"), ("rich", "full"), ("rich", "dora")])
def test_another_method_is_called_that(world: World, parent: str, method: str) -> None:
    """And no option is complained of that nobody gave."""
    with pytest.raises(UsageError, match=f"--method {method}: {parent}@1, which the run goes on from, has method"):
        world.plan(from_adapter=parent, method=method)


def raise_problems(plan: Plan) -> None:
    if plan.problems:
        raise UsageError("\n".join(plan.problems))


EACH = f"""
import json, sys
from graftlm.cli import main
for flags in json.loads(sys.argv[1]):
    sys.argv = ["graftlm", *flags]
    code = 0
    try:
        main()
    except SystemExit as stop:
        code = stop.code or 0
    assert code == (2 if flags[0] == "train" else 0), (flags, code)
print(json.dumps([name for name in {(*HEAVY, "bitsandbytes", "safetensors")!r} if name in sys.modules]))
"""


def test_contradictions_take_no_heavy_library(world: World) -> None:
    """Nor does a plan that goes on from an adapter."""
    refused = [["train", str(world.rows), "--from-adapter", parent, *flags(settings)]
               for parent, settings, _ in CONTRADICTIONS]  # fmt: skip
    planned = [["plan", str(world.rows), "--from-adapter", parent] for parent in PARENTS]
    command = [sys.executable, "-c", EACH, json.dumps([*refused, *planned])]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr[-2000:]
    assert json.loads(done.stdout.splitlines()[-1]) == []
    errors = [line for line in done.stderr.splitlines() if line.startswith("Error: ")]
    assert len(errors) == len(refused)


def test_saying_what_the_parent_is_anyway_is_no_contradiction(world: World) -> None:
    same = world.plan(
        from_adapter="rich", model=str(world.model), method="lora", rank=4, alpha=12.0, dropout=0.0, rope="linear:2",
        target_modules="q_proj,down_proj", quantization="nf4", template="model", dtype="fp32",
    )  # fmt: skip
    assert same.hash == world.plan(from_adapter="rich").hash


@pytest.mark.parametrize(("said", "found"), [({"quantization": "none"}, "none"), ({"quantization": "int8"}, "int8")])
def test_the_base_may_be_stored_otherwise(world: World, said: dict[str, Any], found: str) -> None:
    """An adapter of a quantized base goes on on the plain one, and the other way round."""
    plan = world.plan(from_adapter="rich", max_steps=1, name="otherwise", **said)
    assert (plan.load.quantization, plan.problems) == (found, ())
    assert "double_quant" not in plan.load.options
    trained = carry_out(plan, registry(), lambda event: None, start=start_in_process)
    assert abs(trained.outcome.first_loss - world.losses["rich"][-1]) < 0.3
    assert bool(trained.record.effective.quantized_layers) == (found != "none")


def test_another_template_is_noted(world: World) -> None:
    plan = world.plan(from_adapter="rich", template="alpaca")
    assert plan.template.name == "alpaca"
    assert any("rich@1 was trained with template model" in note for note in plan.notes)


def test_another_base_is_refused_by_its_digest(world: World, tmp_path: Path) -> None:
    other = small_model("mistral", tmp_path, seed=5)
    digest = open_store().get("dora").base.files_digest
    with pytest.raises(UsageError, match=rf"not the base of dora@1, which is mistral \({digest}\): leave --model out"):
        world.plan(from_adapter="dora", model=str(other))
    moved = shutil.copytree(world.model, tmp_path / "moved")
    assert world.plan(from_adapter="dora", model=str(moved)).problems == ()


def test_a_base_of_which_one_weight_has_changed_is_refused(world: World, tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    changed = shutil.copytree(world.model, tmp_path / "mistral")
    weights = load_file(changed / "model.safetensors")
    weights["model.layers.1.mlp.down_proj.weight"][0, 0] += 1e-3
    save_file(weights, changed / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(UsageError, match="is not the base of full@1"):
        world.plan(from_adapter="full", model=str(changed))


@pytest.mark.parametrize("parent", ["dora", "full"])
def test_damaged_files_of_the_parent_are_refused(world: World, parent: str) -> None:
    """By the plan; and by the run, where they were damaged after it was made."""
    plan = world.plan(from_adapter=parent, **STILL)
    (path,) = open_store().path(parent).glob("*.safetensors")
    path.chmod(0o644)
    content = bytearray(path.read_bytes())
    content[-3] ^= 1
    path.write_bytes(bytes(content))
    with pytest.raises(StoreError, match=f"the files of {parent}@1 are not those that were published"):
        world.plan(from_adapter=parent)
    with pytest.raises(StoreError, match=f"the files of {parent}@1 are not those that were planned with"):
        carry_out(plan, registry(), lambda event: None, start=start_in_process)
    assert parent not in {record.name for record in open_store().records(print) if record.version > 1}


def test_the_context_length_that_the_parent_has_may_be_said_again(world: World) -> None:
    world.train(model=str(world.model), dtype="fp32", context_length=256, name="longer", max_steps=1)
    plan = world.plan(from_adapter="longer")
    assert plan.load.rope is not None
    assert plan.load.rope.context == 256
    assert world.plan(from_adapter="longer", context_length=256).hash == plan.hash
    with pytest.raises(UsageError, match="--context-length 512"):
        world.plan(from_adapter="longer", context_length=512)


def test_a_template_that_was_allowed_once_is_allowed_in_what_goes_on(world: World) -> None:
    short = {"overlong": "truncate-left", "max_steps": 1}
    allowed = {"template": "alpaca", "allow_template_mismatch": True, **short}
    world.train(model=str(world.model), dtype="fp32", name="own-words", **allowed)
    plan = world.plan(from_adapter="own-words", **short)
    assert plan.template.name == "alpaca"
    assert plan.problems == ()
