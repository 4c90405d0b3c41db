"""Random weights of a shape: what transformers would draw, in little memory, and all of it or nothing."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from transformers import AutoConfig, AutoModelForCausalLM

from graftlm.contracts.errors import ModelError
from graftlm.worker.random_weights import drawn, random_weights, skeleton, write_shards
from graftlm_registry.models import catalogue

SMALL = {
    "vocab_size": 500, "hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 4, "num_attention_heads": 4,
    "num_key_value_heads": 2, "num_kv_heads": 2, "head_dim": 16, "moe_intermediate_size": 32,
    "shared_expert_intermediate_size": 32, "num_experts": 8, "num_local_experts": 8, "n_routed_experts": 8,
    "num_experts_per_tok": 2, "mamba_d_ssm": 64, "mamba_n_heads": 4, "mamba_d_head": 16, "mamba_d_state": 16,
    "linear_num_value_heads": 8, "linear_num_key_heads": 4, "linear_key_head_dim": 16, "linear_value_head_dim": 16,
    "max_position_embeddings": 128, "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 1,
}  # fmt: skip
"""Sizes that replace those of a published configuration, where it has them."""
MODELS = [
    "qwen2.5-0.5b", "qwen2.5-7b", "qwen3-8b", "qwen3-30b-a3b", "qwen1.5-moe-a2.7b", "qwen3-next-80b-a3b", "mistral-7b",
    "mixtral-8x7b", "glm-4-9b", "glm-4-32b", "glm-4.5-air", "falcon-7b", "falcon-40b", "falcon-rw-1b",
    "falcon-h1-0.5b", "llama-3.1-8b",
]  # fmt: skip
DRAWN = ("A_log",)
"""Too few numbers for a spread, and drawn."""


def small(name: str, folder: Path, **changes: Any) -> Path:
    """A folder with a published configuration made small."""
    config = dict(catalogue().entry(name).config)
    config |= {key: value for key, value in SMALL.items() if key in config} | changes
    config = {key: value for key, value in config.items() if value is not None}
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    return folder


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def loaded(folder: Path) -> Any:
    model, report = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, output_loading_info=True)
    assert not any(report.values()), report
    return model


@pytest.mark.parametrize("name", MODELS)
def test_it_loads_whole_and_knows_nothing(name: str, tmp_path: Path) -> None:
    folder = small(name, tmp_path / "model")
    random_weights(folder)
    model = loaded(folder)
    ids = torch.randint(2, 500, (2, 32), generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        out = model(input_ids=ids, labels=ids)
    assert torch.isfinite(out.logits).all()
    assert out.loss.item() == pytest.approx(math.log(500), abs=0.15)
    files = [safe_open(path, "pt") for path in folder.glob("*.safetensors")]
    stored = {key for file in files for key in file.keys()}  # noqa: SIM118
    assert ("lm_head.weight" in stored) == (not model.config.tie_word_embeddings)


@pytest.mark.parametrize("name", MODELS)
def test_it_is_what_the_model_draws_for_itself(name: str, tmp_path: Path) -> None:
    """Constants are the same, random tensors have the same spread."""
    folder = small(name, tmp_path / "model", torch_dtype="float32")
    random_weights(folder)
    mine = loaded(folder).state_dict()
    theirs = AutoModelForCausalLM.from_config(AutoConfig.from_pretrained(folder)).state_dict()
    assert mine.keys() == theirs.keys()
    for key, tensor in theirs.items():
        if tensor.numel() == 1 or tensor.std() == 0 or key.endswith("dt_bias"):
            assert torch.equal(mine[key], tensor), key
        elif not key.endswith(DRAWN):
            spread = 5 / math.sqrt(tensor.numel())  # two drawn samples; 64 numbers differ by a third now and then
            assert mine[key].std().item() == pytest.approx(tensor.std().item(), rel=0.05 + spread), key
            assert not torch.equal(mine[key], tensor), key


def test_tensors_of_one_shape_differ(tmp_path: Path) -> None:
    folder = small("mistral-7b", tmp_path / "model")
    random_weights(folder)
    state = loaded(folder).state_dict()
    assert not torch.equal(state["model.layers.0.mlp.up_proj.weight"], state["model.layers.1.mlp.up_proj.weight"])


def test_every_run_draws_the_same_and_leaves_torch_s_numbers_alone(tmp_path: Path) -> None:
    one, other = small("falcon-7b", tmp_path / "one"), small("falcon-7b", tmp_path / "other")
    torch.manual_seed(3)
    before = torch.get_rng_state()
    random_weights(one)
    assert torch.equal(before, torch.get_rng_state())
    torch.manual_seed(4)
    random_weights(other)
    assert contents(one) == contents(other)


def test_it_is_done_once(tmp_path: Path) -> None:
    folder = small("qwen3-8b", tmp_path / "model")
    random_weights(folder)
    stamp = (folder / "model.safetensors").stat().st_mtime_ns
    random_weights(folder)
    assert (folder / "model.safetensors").stat().st_mtime_ns == stamp


def test_what_a_killed_run_left_is_drawn_anew(tmp_path: Path) -> None:
    folder, whole = small("qwen3-8b", tmp_path / "model"), small("qwen3-8b", tmp_path / "whole")
    (tmp_path / "model.weights").mkdir()
    (tmp_path / "model.weights" / "part-0.safetensors").write_bytes(b"half")
    (folder / "model.safetensors").write_bytes(b"half")
    (folder / "model-00001-of-00002.safetensors").write_bytes(b"half")
    random_weights(folder)
    random_weights(whole)
    assert contents(folder) == contents(whole)
    assert not (tmp_path / "model.weights").exists()


def test_runs_at_the_same_time_draw_it_once(tmp_path: Path) -> None:
    folder = small("qwen3-8b", tmp_path / "model")
    program = "import sys; from pathlib import Path; from graftlm.worker.random_weights import random_weights; "
    command = [sys.executable, "-c", f"{program}random_weights(Path(sys.argv[1]))", str(folder)]
    runs = [subprocess.Popen(command) for _ in range(2)]
    assert [run.wait(timeout=120) for run in runs] == [0, 0]
    random_weights(whole := small("qwen3-8b", tmp_path / "whole"))
    assert contents(folder) == contents(whole)


@pytest.mark.parametrize(("said", "written"), [("bfloat16", "BF16"), ("float32", "F32"), (None, "F32")])
def test_the_configuration_says_the_dtype(said: str | None, written: str, tmp_path: Path) -> None:
    folder = small("mistral-7b", tmp_path / "model", torch_dtype=said)
    random_weights(folder)
    with safe_open(folder / "model.safetensors", "pt") as file:
        assert {file.get_slice(key).get_dtype() for key in file.keys()} == {written}  # noqa: SIM118


def test_a_big_model_without_a_dtype_is_in_bf16(tmp_path: Path) -> None:
    folder = small("mistral-7b", tmp_path / "model", torch_dtype=None, vocab_size=10_000_000)
    assert skeleton(folder).dtype == torch.bfloat16


@pytest.mark.parametrize("name", ["qwen2.5-7b", "qwen3-30b-a3b"])
def test_files_are_small_and_the_index_knows_each_tensor(name: str, tmp_path: Path) -> None:
    folder = small(name, tmp_path / "model")
    write_shards(drawn(skeleton(folder)), folder, limit=100_000)
    files = sorted(folder.glob("*.safetensors"))
    assert len(files) > 3
    assert all(path.stat().st_size < 110_000 for path in files)
    index = json.loads((folder / "model.safetensors.index.json").read_text(encoding="utf-8"))
    held = {}
    for path in files:
        with safe_open(path, "pt") as file:
            held |= dict.fromkeys(file.keys(), path.name)
    assert held == index["weight_map"]
    loaded(folder)


def test_a_disk_that_is_too_small_is_told_before_anything_is_drawn(tmp_path: Path) -> None:
    folder = small("mistral-7b", tmp_path / "model", vocab_size=10**9, hidden_size=2**19)
    with pytest.raises(ModelError, match=r"take 2\d{6}\.\d GB, and there are .* GB free .*: set GRAFTLM_HOME"):
        random_weights(folder)
    assert [path.name for path in folder.iterdir()] == ["config.json"]
    assert not (tmp_path / "model.weights").exists()


def test_a_disk_that_fills_up_leaves_nothing_half_made(tmp_path: Path) -> None:
    """A limit on the size of files fails a write as a full disk does."""
    folder = small("mistral-7b", tmp_path / "model")
    program = """
import resource, signal, sys
from pathlib import Path
from graftlm.contracts.errors import ModelError
from graftlm.worker.random_weights import random_weights
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, resource.RLIM_INFINITY))
try:
    random_weights(Path(sys.argv[1]))
except ModelError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", program, str(folder)], capture_output=True, text=True, check=True)
    assert "the random weights of model cannot be written" in done.stdout
    assert "too large" in done.stdout
    assert [path.name for path in folder.iterdir()] == ["config.json"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model", "model.lock"]
