"""RoPE scaling: worked out by the plan, seen in the loaded model, kept with the adapter, refused where it cannot be."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from conftest import Said
from small_models import configuration, small_model

from graftlm.contracts.config import RunConfig
from graftlm.contracts.errors import UsageError
from graftlm.contracts.load import LoadPlan, RopePlan
from graftlm.contracts.plan import Plan
from graftlm.planning.resolve import resolve
from graftlm_registry.adapters.sealed import seal
from graftlm_registry.plugins import registry

POSITIONS = 128


def planned(alpaca: Path, model: Path | str, **settings: Any) -> Plan:
    return resolve(RunConfig(data=str(alpaca), model=str(model), **settings), registry())


@pytest.mark.usefixtures("home")
@pytest.mark.parametrize(
    ("settings", "kind", "factor", "context"),
    [
        ({"rope": "linear:2"}, "linear", 2.0, 256),
        ({"rope": "dynamic:2.5"}, "dynamic", 2.5, 320),
        ({"rope": "yarn:4"}, "yarn", 4.0, 512),
        ({"context_length": 512}, "linear", 4.0, 512),
        ({"rope": "yarn", "context_length": 200}, "yarn", 200 / 128, 200),
    ],
)
def test_the_plan_works_out_the_factor(
    alpaca: Path, tmp_path: Path, settings: dict[str, Any], kind: str, factor: float, context: int
) -> None:
    rope = planned(alpaca, small_model("qwen3", tmp_path), **settings).load.rope
    assert rope is not None
    assert (rope.kind, rope.factor, rope.original, rope.context) == (kind, factor, POSITIONS, context)


@pytest.mark.usefixtures("home")
def test_samples_are_as_long_as_the_context_that_was_asked_for(alpaca: Path, tmp_path: Path) -> None:
    model = small_model("mistral", tmp_path)
    assert planned(alpaca, model).encoding.max_length == POSITIONS
    assert planned(alpaca, model, context_length=300).encoding.max_length == 300
    assert planned(alpaca, model, rope="linear:2").encoding.max_length == 2 * POSITIONS
    assert planned(alpaca, model, rope="linear:2", max_length=200).encoding.max_length == 200
    with pytest.raises(UsageError, match="--context-length 200"):
        planned(alpaca, model, max_length=200)


@pytest.mark.usefixtures("home")
@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"rope": "liner:2"}, "Did you mean 'linear'"),
        ({"rope": "linear"}, "needs a factor"),
        ({"rope": "linear:1"}, "above 1"),
        ({"rope": "linear:two"}, "above 1"),
        ({"rope": "linear:2", "context_length": 512}, "give one of them"),
        ({"rope": "linear", "context_length": 64}, "has 128 positions"),
    ],
)
def test_words_that_do_not_agree_are_refused(
    alpaca: Path, tmp_path: Path, settings: dict[str, Any], reason: str
) -> None:
    with pytest.raises(UsageError, match=reason):
        planned(alpaca, small_model("qwen2", tmp_path), **settings)


@pytest.mark.usefixtures("home")
def test_models_that_cannot_are_refused_with_the_reason(alpaca: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="alibi"):
        planned(alpaca, small_model("falcon-rw", tmp_path), rope="linear:2")
    scaled = {"rope_type": "llama3", "rope_theta": 1e4, "factor": 8.0, "low_freq_factor": 1.0,
              "high_freq_factor": 4.0, "original_max_position_embeddings": 64}  # fmt: skip
    with pytest.raises(UsageError, match="scaled already"):
        planned(alpaca, small_model("llama", tmp_path, rope_parameters=scaled), rope="linear:2")
    assert planned(alpaca, small_model("llama", tmp_path), context_length=100).load.rope is None


def plan_of(kind: Any, factor: float = 2.0, dtype: str = "fp32") -> LoadPlan:
    rope = RopePlan(kind=kind, factor=factor, original=POSITIONS, context=int(POSITIONS * factor))
    return LoadPlan(name="m", dtype=dtype, attention="sdpa", rope=rope)


@pytest.mark.parametrize("architecture", ["mistral", "glm", "glm4", "falcon-7b", "qwen3_next", "falcon_h1"])
def test_the_loaded_model_has_the_frequencies_that_were_asked_for(architecture: str, tmp_path: Path) -> None:
    import torch

    from graftlm.worker.load import load_base
    from graftlm.worker.rope import rotary_modules

    folder = small_model(architecture, tmp_path)
    plain = load_base(LoadPlan(name="m", dtype="fp32", attention="sdpa"), folder, "cpu").model
    linear = load_base(plan_of("linear"), folder, "cpu").model
    assert linear.config.max_position_embeddings == 2 * POSITIONS
    for before, after in zip(rotary_modules(plain), rotary_modules(linear), strict=True):
        assert before.inv_freq.shape == after.inv_freq.shape  # a partial rotary stays partial
        assert torch.allclose(before.inv_freq / 2, after.inv_freq)
    share = plain.config.rope_parameters.get("partial_rotary_factor")
    assert linear.config.rope_parameters.get("partial_rotary_factor") == share
    yarn = load_base(plan_of("yarn"), folder, "cpu").model
    assert yarn.config.rope_parameters["original_max_position_embeddings"] == POSITIONS


def test_a_dynamic_rope_knows_what_the_model_was_made_for_and_forgets_longer_texts(tmp_path: Path) -> None:
    """transformers takes the configuration's positions for the original ones, and keeps the frequencies of the longest
    text it has met: without the cures, nothing is scaled, and logits depend on the texts before.
    """
    import torch

    from graftlm.worker.load import load_base

    folder = small_model("mistral", tmp_path)
    plain = load_base(LoadPlan(name="m", dtype="fp32", attention="sdpa"), folder, "cpu").model.eval()
    dynamic = load_base(plan_of("dynamic"), folder, "cpu").model.eval()
    torch.manual_seed(0)
    short, longer, longest = (torch.randint(5, 50, (1, n)) for n in (POSITIONS, POSITIONS + 40, 2 * POSITIONS))
    with torch.inference_mode():
        assert torch.equal(plain(short).logits, dynamic(short).logits)
        fresh = dynamic(longer).logits
        assert not torch.allclose(fresh, plain(longer).logits, atol=1e-3)
        dynamic(longest)
        assert torch.equal(dynamic(longer).logits, fresh)


def test_the_adapter_keeps_its_rope(run: Callable[..., Said], alpaca: Path, tmp_path: Path, home: Path) -> None:
    """PEFT writes nothing of it: what is loaded again must have it all the same, or be refused."""
    model = small_model("glm4", tmp_path)
    short = ("--max-steps", 4, "--no-retention", "--name", "skill", "--learning-rate", 0.005)
    assert run("train", alpaca, "--model", model, "--rope", "linear:2", *short).code == 0
    record = json.loads(run("adapters", "show", "skill", "--json").out)
    assert record["load"]["rope"]["factor"] == 2.0
    assert record["effective"]["rope"]["rope_type"] == "linear"
    assert "linear by 2" in run("adapters", "show", "skill").out
    assert run("generate", "skill", "Name the colour.").code == 0

    said = run("adapters", "merge", "skill", "--out", tmp_path / "merged")
    assert said.code == 0, said.err
    written = configuration(tmp_path / "merged")
    assert written["rope_parameters"]["rope_type"] == "linear"
    assert written["rope_parameters"]["partial_rotary_factor"] == 0.5
    assert written["max_position_embeddings"] == 2 * POSITIONS

    (path,) = (home / "store" / "adapters" / "skill").glob("*.json")
    record["load"]["rope"] = None
    path.write_bytes(seal(json.dumps(record).encode()))
    said = run("generate", "skill", "Name the colour.")
    assert said.code != 0
    assert "RoPE" in said.err
