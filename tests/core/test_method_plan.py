"""A tuning method's names, numbers and targets: what is not there is one sentence of the plan, and torch stays away."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from conftest import Said
from test_front_imports import HEAVY

from graftlm.contracts.errors import UsageError
from graftlm.contracts.model import FamilyFacts
from graftlm.planning.method_plan import targets

DATA = Path(__file__).parents[1] / "data" / "colours.jsonl"

REFUSED: tuple[tuple[list[str], str], ...] = (
    # numbers
    (["layers_to_transform=40"], "layers_to_transform names layer 40, and this model has 4 layers, 0 to 3"),
    (["--method", "vera", "layers_to_transform=1,4"], "names layer 4, and this model has 4 layers"),
    (["--method", "freeze", "layers=99"], "layers is 99, and this model has 4 layers"),
    (["trainable_token_indices=704"], "names token 704, and this model has 704 tokens"),
    (["--method", "pissa", "--rank", "65"], "rank 65 is more than k_proj has: give 64 at most"),
    (["--method", "olora", "rank_pattern=v_proj=65"], "rank 65 is more than v_proj has"),
    (["init_lora_weights=mica", "--rank", "200"], "rank 200 is more than q_proj has: give 128 at most"),
    (["init_lora_weights=orthogonal", "--rank", "5"], "even ranks alone"),
    # names
    (["rank_pattern=q_prj=4"], "rank_pattern: q_prj matches none of the adapted modules; did you mean q_proj?"),
    (["alpha_pattern=layers.4.self_attn.q_proj=4"], "did you mean model.layers.3.self_attn.q_proj?"),
    (["rank_pattern=.*(a|b)_proj=4"], ".*(a|b)_proj matches none of the adapted modules"),
    (["modules_to_save=lm_hed"], "modules_to_save: lm_hed matches nothing in this model; did you mean lm_head?"),
    (["modules_to_save=norm"], "would take model.layers.0.input_layernorm too: give whole paths, such as model.norm"),
    (["exclude_modules=nix"], "exclude_modules: nix matches nothing in this model; there are down_proj, embed_tokens"),
    (["exclude_modules=q_proj", "--target-modules", "q_proj"], "every q_proj is left out"),
    (["target_parameters=x"], "x matches no tensor of this model, which has no fused experts"),
    (["layers_pattern=h", "layers_to_transform=0"], "h is no list of layers here, which is model.layers"),
    (["--method", "freeze", "modules=foo"], "modules: foo matches no module of this model that has weights"),
    (["--method", "freeze", "modules=layers.4.mlp"], "did you mean model.layers.3.mlp?"),
    (["--method", "ia3", "feedforward_modules=down_prj"], "feedforward_modules: down_prj is none of the targets"),
    (["--method", "ln_tuning", "target_modules=nrm"], "target module nrm matches nothing in this model; did you mean"),
    # expressions
    (['rank_pattern={"q_proj(":4}'], "q_proj( is neither a name nor a regular expression: missing )"),
    (['alpha_pattern={"*":4}'], "* is neither a name nor a regular expression"),
    (["layers_pattern=layers(", "layers_to_transform=0"], "layers( is no name of a list of layers"),
    ([f"rank_pattern={'q' * 201}=4"], "has 201 characters, and 200 are the most"),
    # targets
    (["--target-modules", "model.layers.0.self_attn.q_proj"], "give q_proj, and --set method.layers_to_transform=0"),
    (["--target-modules", "self_attn.q_proj"], "names are the last parts of paths: give q_proj"),
    (["--target-modules", "q_proj,lm_head"], "--set method.modules_to_save=lm_head trains it whole"),
    (["--target-modules", "embed_tokens"], "--set method.modules_to_save=model.embed_tokens trains it whole"),
    (["--target-modules", "attention,q_prj"], "unknown target module 'q_prj'. Did you mean 'q_proj'?"),
    # what a method's name says
    (["--method", "dora", "use_dora=false"], "it stands for use_dora=true: say --method lora for use_dora=false"),
    (["--method", "rslora", "use_rslora=false"], "it stands for use_rslora=true"),
    (["--method", "pissa", "init_lora_weights=olora"], "it stands for init_lora_weights=pissa"),
    (["--method", "olora", "init_lora_weights=true"], "say --method lora for init_lora_weights=true"),
    # what is left out, and why
    (["--method", "prompt_tuning", "--rank", "8"], "cannot be chosen: it puts tokens before the text"),
    (["--method", "prefix-tuning"], "cannot be chosen: it is in the key-value cache"),
    (["--method", "adalora"], "cannot be chosen: its ranks are reallocated"),
    (["--method", "qlora"], "say --method lora --quantization nf4"),
    (["init_lora_weights=loftq"], "loftq cannot be chosen: left out are"),
    (["use_qalora=true"], "use_qalora cannot be chosen: left out are"),
    (["eva_config=1"], "eva_config cannot be chosen: left out are"),
    # options that are flags, and plugins without options
    (["r=8"], "method.r is a setting of its own: give --rank"),
    (["lora_alpha=8"], "give --alpha"),
    (["lora_dropout=0.1"], "give --dropout"),
    (["target_modules=q_proj"], "give --target-modules"),
    (["--set", "quantization.double_quant=true"], "quantization none has no options: leave quantization.double_quant"),
)

PLANNED: tuple[list[str], ...] = (
    ["layers_to_transform=[0,1]"],
    ["layers_to_transform=3", "layers_pattern=layers"],
    ["rank_pattern=q_proj=4,layers.1.self_attn.v_proj=8"],
    [r'rank_pattern={".*\\.self_attn\\.(q|v)_proj": 4}'],
    ["modules_to_save=lm_head,model.norm"],
    ["exclude_modules=layers.1.self_attn.q_proj"],
    ["--method", "pissa", "--rank", "64"],
    ["--method", "pissa", "--rank", "65", "--target-modules", "q_proj"],
    ["--method", "dora", "use_dora=true"],
    ["--method", "freeze", "modules=self_attn,layers.3,model.norm"],
    ["--method", "ia3", "--target-modules", "all-linear", "feedforward_modules=down_proj"],
    ["--method", "ln_tuning", "target_modules=model.norm"],
    ["--target-modules", "q_proj,mlp"],
)


def arguments(given: list[str]) -> list[str]:
    """``name=value`` alone is an option of the method."""
    found: list[str] = []
    for i, one in enumerate(given):
        own = "=" in one and (i == 0 or not given[i - 1].startswith("--"))
        found += ["--set", f"method.{one}"] if own else [one]
    return ["plan", str(DATA), "--model", "tiny-mistral", *found]


@pytest.mark.parametrize(("given", "says"), REFUSED, ids=[" ".join(given)[:60] for given, _ in REFUSED])
def test_what_is_not_there_is_refused_in_a_sentence(given: list[str], says: str, run: Callable[..., Said]) -> None:
    said = run(*arguments(given))
    assert (said.code, said.out) == (2, ""), said.err
    assert says in said.err
    assert len(said.err.strip().splitlines()) == 1


@pytest.mark.parametrize("given", PLANNED, ids=lambda given: " ".join(given)[:60])
def test_what_is_there_is_planned(given: list[str], run: Callable[..., Said]) -> None:
    said = run(*arguments(given))
    assert said.code == 0, said.err


EACH = f"""
import json, sys
from graftlm.cli import main
for given in json.loads(sys.argv[1]):
    sys.argv = ["graftlm", *given]
    try:
        main()
    except SystemExit as stop:
        assert stop.code == 2, (given, stop.code)
    else:
        raise AssertionError(given)
print(json.dumps([name for name in {(*HEAVY, "safetensors")!r} if name in sys.modules]))
"""


@pytest.mark.usefixtures("home")
def test_none_of_it_takes_a_heavy_library() -> None:
    command = [sys.executable, "-c", EACH, json.dumps([arguments(given) for given, _ in REFUSED])]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr[-2000:]
    assert json.loads(done.stdout.splitlines()[-1]) == []


FACTS: dict[str, Any] = {"attention": ("q", "k"), "mlp": ("up",), "default_targets": ("q",)}


def test_groups_and_names_mix() -> None:
    facts = FamilyFacts(**FACTS)
    assert targets("auto", facts) == ("q",)
    assert targets("all-linear", facts) == ("q", "k", "up")
    assert targets("up, attention,q", facts) == ("up", "q", "k")
    with pytest.raises(UsageError, match="unknown target module 'head'"):
        targets("head", facts)  # whose family gives no paths


def test_a_group_without_layers_says_why_within_a_list_too() -> None:
    facts = FamilyFacts(attention=("q",), mlp=(), untargeted=("up",), untargeted_reason="it is fused")
    for wanted in ("mlp", "q,mlp", "up"):
        with pytest.raises(UsageError, match="it is fused"):
            targets(wanted, facts)
