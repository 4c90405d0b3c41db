"""``graftlm adapters merge``: a whole model that any tool loads, the right one, or an error and nothing."""

from __future__ import annotations

import functools
import json
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from conftest import Said
from safetensors.torch import load_file, save_file
from small_models import configuration, small_model
from test_from_adapter import World, little_to_collect

from graftlm.contracts.errors import GraftlmError, Interrupted, RunError, StoreError, UsageError
from graftlm.contracts.job import MergeJob
from graftlm.contracts.serial import from_json
from graftlm.running import merge as merging
from graftlm.running.answer import answer
from graftlm.running.fitting import PROMPTS
from graftlm.running.merge import Merged
from graftlm.testing.in_process import start_in_process
from graftlm_registry.adapters import open_store
from graftlm_registry.adapters.content import content_files
from graftlm_registry.plugins import registry

RUNS: Mapping[str, Mapping[str, Any]] = {
    "lora": {},
    "dora": {"method": "dora", "rank": 4},
    "rslora": {"method": "rslora", "rank": 4},
    "loha": {"method": "loha", "rank": 4, "alpha": 8.0},
    "full": {"method": "full", "learning_rate": 3e-3},
    "freeze": {"method": "freeze", "learning_rate": 5e-3, "options": {"method": {"layers": 1}}},
    "nf4": {"quantization": "nf4"},
    "roped": {"rope": "yarn:2", "max_steps": 4},
    "faint": {"learning_rate": 3e-7, "max_steps": 1},
}
"""By name of the adapter; ``faint`` has next to no effect."""
TYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
SAMPLE = torch.arange(8, 72)[None]
OTHER_BASE = re.compile("is not the base that|are not those that this adapter was trained on")
GENERATION = '{"max_new_tokens": 7, "transformers_version": "5.0.0"}'


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory, _probed: Path) -> Iterator[World]:
    world = World(tmp_path_factory.mktemp("merge"), _probed)
    (world.model / "generation_config.json").write_text(GENERATION, encoding="utf-8")
    with little_to_collect():
        world.train_all(RUNS)
        yield world


@pytest.fixture
def world(built: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    built.copy(tmp_path / "graftlm", monkeypatch)
    return built


def merge(name: str, out: Path, dtype: str = "", start: Any = start_in_process) -> Merged:
    return merging.merge(name, out, registry(), lambda event: None, dtype=dtype, start=start)


def logits(model: Any, ids: torch.Tensor = SAMPLE) -> torch.Tensor:
    with torch.inference_mode():
        found: torch.Tensor = model.eval()(input_ids=ids, use_cache=False).logits.float()
    return found


def loaded(folder: Path, dtype: str = "fp32", **more: Any) -> Any:
    """By transformers alone."""
    from transformers import AutoModelForCausalLM

    return AutoModelForCausalLM.from_pretrained(folder, dtype=TYPES[dtype], **more)


def adapted(folder: Path, name: str) -> torch.Tensor:
    """Logits of the base with the files of the store, by PEFT alone, or by putting an overlay's tensors there."""
    from peft import PeftModel

    base, files = loaded(folder), open_store().path(name)
    if not (files / "overlay.safetensors").is_file():
        return logits(PeftModel.from_pretrained(base, files))
    _, strange = base.load_state_dict(load_file(files / "overlay.safetensors"), strict=False)
    assert not strange
    return logits(base)


@pytest.mark.parametrize("name", ["lora", "dora", "rslora", "loha", "full", "freeze", "nf4"])
def test_the_merged_model_gives_the_adapter_s_logits_in_plain_transformers(
    world: World, tmp_path: Path, name: str
) -> None:
    merged = merge(name, tmp_path / "out")
    assert (merged.adapter, merged.out, merged.dtype) == (f"{name}@1", str(tmp_path / "out"), "fp32")
    expected, plain = adapted(world.model, name), logits(loaded(world.model))
    again = logits(loaded(tmp_path / "out"))
    assert (expected - plain).abs().max() > 0.1
    assert (again - expected).abs().max() < 1e-4
    assert merged.difference < 1e-4
    assert merged.effect > 0.1
    assert merged.tokens > merged.texts == len(PROMPTS)
    written = load_file(tmp_path / "out" / "model.safetensors")
    assert written.keys() == load_file(world.model / "model.safetensors").keys()
    assert {tensor.dtype for tensor in written.values()} == {torch.float32}
    assert "quantization_config" not in configuration(tmp_path / "out")


@pytest.mark.parametrize(("name", "dtype"), [("lora", "bf16"), ("lora", "fp16"), ("full", "bf16"), ("nf4", "bf16")])
def test_the_weights_are_written_in_the_precision_that_was_asked(
    world: World, tmp_path: Path, name: str, dtype: str
) -> None:
    merged = merge(name, tmp_path / "out", dtype)
    assert merged.dtype == dtype
    written = load_file(tmp_path / "out" / "model.safetensors")
    assert {tensor.dtype for tensor in written.values()} == {TYPES[dtype]}
    assert configuration(tmp_path / "out")["dtype"] == str(TYPES[dtype]).removeprefix("torch.")
    expected, plain = adapted(world.model, name), logits(loaded(world.model))
    again = logits(loaded(tmp_path / "out", dtype))
    assert (again - expected).abs().max() < 0.1 * (expected - plain).abs().max()


def test_all_that_the_base_has_beside_its_weights_is_there(world: World, tmp_path: Path) -> None:
    from transformers import AutoTokenizer

    merged, out = merge("lora", tmp_path / "out"), tmp_path / "out"
    for file in ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja", "generation_config.json"):
        assert (out / file).read_bytes() == (world.model / file).read_bytes(), file
    talk = [{"role": "user", "content": "Name the colour."}]
    asked, theirs = (AutoTokenizer.from_pretrained(folder) for folder in (out, world.model))
    assert asked.apply_chat_template(talk, tokenize=False) == theirs.apply_chat_template(talk, tokenize=False)
    told = json.loads((out / "graftlm.json").read_text(encoding="utf-8"))
    record = open_store().get("lora")
    assert (told["adapter"], told["adapter_digest"]) == ("lora@1", record.digest)
    assert told["base"]["files_digest"] == record.base.files_digest
    assert told["largest_logit_difference"] == merged.difference
    assert {path.suffix for path in out.iterdir()} == {".json", ".jinja", ".safetensors"}


def test_graftlm_itself_trains_and_answers_from_the_merged_folder(world: World, tmp_path: Path) -> None:
    merge("lora", tmp_path / "out")

    def said(name: str) -> list[str]:
        asked = ["Name the colour.", "thing 3"]
        return answer(name, asked, registry(), lambda event: None, 6, start=start_in_process)

    assert said(str(tmp_path / "out")) == said("lora")
    trained = world.train(model=str(tmp_path / "out"), name="second", max_steps=3, dtype="fp32", learning_rate=5e-3)
    before = world.losses["lora"]
    assert abs(trained.outcome.first_loss - before[-1]) < 0.25 * (before[0] - before[-1])
    assert trained.outcome.losses[-1] < trained.outcome.first_loss
    assert trained.record.base.files_digest != open_store().get("lora").base.files_digest


def test_a_merged_model_keeps_its_rope(world: World, tmp_path: Path) -> None:
    """Over texts longer than the base was made for; and it is not scaled a second time."""
    from graftlm.worker.kept import with_kept
    from graftlm.worker.load import load_base

    merged = merge("roped", tmp_path / "out")
    assert merged.difference < 1e-4
    written = configuration(tmp_path / "out")
    parameters = written["rope_parameters"]
    assert (parameters["rope_type"], parameters["factor"]) == ("yarn", 2.0)
    assert parameters["original_max_position_embeddings"] == 128
    assert written["max_position_embeddings"] == 256
    long = torch.arange(200)[None] % 64 + 8
    found = merging.stored(open_store().get("roped"), open_store(), registry())
    expected = logits(with_kept(found.load, "files", found.folder, found.kept, "cpu"), long)
    assert (logits(loaded(tmp_path / "out"), long) - expected).abs().max() < 1e-4
    unscaled = load_base(found.load.__class__(name="m", dtype="fp32", attention="sdpa"), found.folder, "cpu").model
    assert (logits(unscaled, long) - expected).abs().max() > 0.1
    assert world.plan(model=str(tmp_path / "out")).encoding.max_length == 256
    with pytest.raises(UsageError, match=r"scaled already \(yarn\)"):
        world.plan(model=str(tmp_path / "out"), rope="linear:2")


def test_a_head_that_is_no_longer_the_embeddings_is_written_apart(world: World, tmp_path: Path) -> None:
    """And one that still is stays tied."""
    tied = small_model("qwen3", tmp_path)
    for name, options in (("kept", {}), ("apart", {"method": {"modules_to_save": ["lm_head"]}})):
        world.train(model=str(tied), dtype="fp32", name=name, options=options, max_steps=4)
        merged = merge(name, tmp_path / f"out-{name}")
        assert merged.difference < 1e-4
        assert (logits(loaded(tmp_path / f"out-{name}")) - adapted(tied, name)).abs().max() < 1e-4
        assert configuration(tmp_path / f"out-{name}")["tie_word_embeddings"] is (name == "kept")


def test_it_is_compared_on_held_out_questions_where_there_are_some(world: World, tmp_path: Path) -> None:
    trained = world.train(model=str(world.model), dtype="fp32", name="tested", test_split=0.3, batch_size=4,
                          micro_batch=4, max_steps=2)  # fmt: skip
    merged = merge("tested", tmp_path / "one")
    rows = trained.record.split_rows["test"]
    assert (merged.held_out, merged.texts) == (True, rows)
    assert rows > 0
    shutil.rmtree(trained.run)
    merged = merge("tested", tmp_path / "other")
    assert (merged.held_out, merged.texts) == (False, len(PROMPTS))


@pytest.fixture
def leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder for ``--out``, and one for temporary files, both empty when all is over."""
    temporary, parent = tmp_path / "temporary", tmp_path / "parent"
    temporary.mkdir()
    parent.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    yield parent / "out"
    assert list(parent.iterdir()) == []
    assert [path.name for path in temporary.iterdir() if path.name.startswith("graftlm-")] == []


@pytest.mark.parametrize("name", ["lora", "full"])
def test_a_base_of_which_one_weight_has_changed_is_refused(
    world: World, tmp_path: Path, name: str, leaves_nothing: Path
) -> None:
    other, store = shutil.copytree(world.model, tmp_path / "mistral"), open_store()
    record, staged = store.get(name), store.stage()
    for file in content_files(store.path(name)):
        shutil.copyfile(file, staged / file.name)
    base = replace(record.base, reference=str(other))  # where it lies is no matter
    store.publish(staged, replace(record, name=f"{name}-moved", version=0, base=base))
    name = f"{name}-moved"
    assert merge(name, tmp_path / "elsewhere").difference < 1e-4
    weights = load_file(other / "model.safetensors")
    weights["model.layers.0.self_attn.q_proj.weight"][3, 5] += 1e-4
    save_file(weights, other / "model.safetensors", metadata={"format": "pt"})
    for dtype in ("", "bf16"):
        with pytest.raises(GraftlmError, match=OTHER_BASE):
            merge(name, leaves_nothing, dtype)


def test_damaged_files_of_the_adapter_are_refused(world: World, leaves_nothing: Path) -> None:
    (path,) = open_store().path("lora").glob("*.safetensors")
    path.chmod(0o644)
    content = path.read_bytes()
    path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    with pytest.raises(StoreError, match=r"the files of lora@1 .* are not those that were published"):
        merge("lora", leaves_nothing)


def test_a_folder_that_holds_something_is_refused_and_stays(world: World, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    merge("lora", out)  # empty: it may be there
    before = {path.name: path.read_bytes() for path in out.iterdir()}
    for where, words in (
        (out, "is not empty"),
        (out / "config.json", "is a file"),
        (out / "config.json/x", "is a file"),
    ):
        with pytest.raises(UsageError, match=words):
            merge("dora", where)
    assert {path.name: path.read_bytes() for path in out.iterdir()} == before


def failing(error: BaseException) -> Callable[..., Mapping[str, Any]]:
    """A worker that has written a part of the model when it fails."""

    def start(job: str, folder: Path, on_event: Any) -> Mapping[str, Any]:
        asked = from_json((folder / "job.json").read_bytes(), MergeJob, "the job")
        (Path(asked.out) / "model.safetensors").write_bytes(b"half")
        raise error

    return start


@pytest.mark.parametrize("error", [KeyboardInterrupt(), Interrupted("stopped"), RunError("the worker died")])
def test_a_failure_leaves_nothing_behind(world: World, leaves_nothing: Path, error: BaseException) -> None:
    with pytest.raises(type(error)):
        merge("lora", leaves_nothing, start=failing(error))


def test_an_interrupt_in_the_worker_itself_leaves_nothing_behind(
    world: World, leaves_nothing: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While it writes the weights."""
    from transformers import PreTrainedModel

    whole = PreTrainedModel.save_pretrained

    def cut(model: Any, out: Path) -> None:
        whole(model, out)
        raise KeyboardInterrupt

    monkeypatch.setattr(PreTrainedModel, "save_pretrained", cut)
    with pytest.raises(KeyboardInterrupt):
        merge("lora", leaves_nothing)


def test_an_effect_that_the_precision_swallows_is_an_error(world: World, leaves_nothing: Path) -> None:
    with pytest.raises(RunError, match="merge in a higher precision"):
        merge("faint", leaves_nothing, "fp16")


def test_an_effect_that_the_precision_swallows_whole_is_an_error(world: World, tmp_path: Path) -> None:
    """In bf16 the adapter's own logits are the base's, though the record says that they are not."""
    assert open_store().get("faint").proof.effect > 0
    with pytest.raises(RunError, match="merge in a higher precision"):
        merge("faint", tmp_path / "out", "bf16")


def test_what_is_faint_is_merged_in_full_precision(world: World, tmp_path: Path) -> None:
    assert world.losses["faint"]
    merged = merge("faint", tmp_path / "out", "fp32")
    assert 0 <= merged.difference < 0.5 * merged.effect < 1e-3


def test_weights_that_overflow_are_an_error(
    world: World, tmp_path: Path, leaves_nothing: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """fp16 ends at 65,504."""
    large = small_model("mistral", tmp_path / "large")
    weights = load_file(large / "model.safetensors")
    weights["model.norm.weight"] *= 1e5
    save_file(weights, large / "model.safetensors", metadata={"format": "pt"})
    world.train(model=str(large), dtype="fp32", name="large", max_steps=1, learning_rate=1e-4, max_grad_norm=1.0)
    with pytest.raises(GraftlmError, match="--dtype fp32"):
        merge("large", leaves_nothing, "fp16")


@pytest.fixture
def command(run: Callable[..., Said], world: World, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Said]:
    """The command line, its worker in this process."""
    monkeypatch.setattr(merging, "merge", functools.partial(merging.merge, start=start_in_process))
    return functools.partial(run, "adapters", "merge")


def test_the_command_says_what_differs(command: Callable[..., Said], tmp_path: Path, world: World) -> None:
    said = command("lora", "--out", tmp_path / "one", "--json")
    assert said.code == 0, said.err
    told = json.loads(said.out)
    assert set(told) >= {"adapter", "out", "dtype", "difference", "effect", "texts", "tokens", "held_out"}
    assert (told["adapter"], told["dtype"], told["held_out"]) == ("lora@1", "fp32", False)
    said = command("lora@1", "--out", tmp_path / "other", "--dtype", "bf16")
    assert said.code == 0, said.err
    for word in ("merged lora@1", "bf16", "logits differ", str(tmp_path / "other")):
        assert word in said.out
    refused = command("lora", "--out", tmp_path / "one")
    assert (refused.code, refused.out) == (2, "")
    assert refused.err.splitlines() == [f"Error: --out {tmp_path / 'one'} is not empty: give a new folder"]
    assert command("nobody", "--out", tmp_path / "three").code == 2
    assert command("lora", "--out", tmp_path / "three", "--dtype", "int8").code == 2
    assert not (tmp_path / "three").exists()


def test_a_full_disk_is_said_in_numbers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A small model on a nearly full disk: "0.0 GB, and 0.0 GB are free" says nothing."""
    from graftlm.worker.merging import _save

    monkeypatch.setattr(shutil, "disk_usage", lambda folder: SimpleNamespace(free=300_000))
    with pytest.raises(StoreError, match=r"takes 1\.0 MiB, and .* has 0\.3 MiB free"):
        _save(torch.nn.Linear(512, 512, bias=False), tmp_path)
