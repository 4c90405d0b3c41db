"""Adapters as plain PEFT writes them are taken in, and answer afterwards as they did before."""

from __future__ import annotations

import json
import re
import shutil
import tarfile
import warnings
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from good_adapter import write
from safetensors.numpy import load_file
from small_models import small_model

from graftlm_registry.adapters.content import content_digest
from graftlm_registry.adapters.outside.adapter_config import known
from graftlm_registry.adapters.outside.make_configs import NOT_TAKEN, PLACE, written
from graftlm_registry.adapters.outside.taking_in import take_in
from graftlm_registry.models import catalogue

UNSLOTH = (
    r"(?:.*?(?:language|text).*?(?:self_attn|attention|attn|mlp|feed_forward|ffn|dense).*?"
    r"(?:q_proj|k_proj|v_proj|o_proj|gate_proj|up_proj|down_proj).*?)|(?:\bmodel\.layers\.[\d]{1,}\."
    r"(?:self_attn|attention|attn|mlp|feed_forward|ffn|dense)\."
    r"(?:(?:q_proj|k_proj|v_proj|o_proj|gate_proj|up_proj|down_proj)))"
)
"""The manner in which Unsloth writes its targets."""


def base(folder: Path | None = None) -> Any:
    import torch
    from transformers import AutoModelForCausalLM

    torch.manual_seed(0)
    return AutoModelForCausalLM.from_pretrained(folder or catalogue().entry("tiny-mistral").folder).eval()


def logits(model: Any) -> Any:
    import torch

    with torch.no_grad():
        return model(torch.arange(3, 19)[None]).logits


def with_adapter(folder: Path, config: Any, on: Path | None = None) -> Any:
    """Save an adapter of noise by plain PEFT; what the model answers with it."""
    import torch
    from peft import get_peft_model

    model = get_peft_model(base(on), config)
    torch.manual_seed(1)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.requires_grad and parameter.is_floating_point():
                parameter.add_(torch.randn_like(parameter) * 0.1)
    model.eval().save_pretrained(folder)
    return logits(model)


def configs() -> Mapping[str, Callable[[], Any]]:
    import peft

    def lora(**more: Any) -> Callable[[], Any]:
        return lambda: peft.LoraConfig(**({"r": 4, "task_type": "CAUSAL_LM", "target_modules": ["q_proj"]} | more))

    return {
        "a list": lora(target_modules=["q_proj", "v_proj"]),
        "no task": lora(task_type=None),
        "a pattern": lora(target_modules=r".*\.(q|v)_proj"),
        "a pattern of Unsloth's": lora(target_modules=UNSLOTH),
        "all layers": lora(target_modules="all-linear"),
        "a pattern of what is left out": lora(target_modules=["q_proj", "v_proj"], exclude_modules=r".*\.0\..*v_proj"),
        "dora": lora(use_dora=True),
        "ranks and alphas": lora(
            target_modules=["q_proj", "v_proj"],
            rank_pattern={"v_proj": 2},
            alpha_pattern={"layers.0.self_attn.q_proj": 32},
        ),
        "ranks by patterns": lora(
            target_modules=r".*\.(q|v|o)_proj",
            rank_pattern={r".*\.0\..*[qv]_proj": 2, r"v_proj": 3, "o_proj": 8},
            alpha_pattern={r"model\.layers\.\d+\.self_attn\.[vo]_proj": 16},
        ),
        "the order of ranks": lora(
            target_modules=["q_proj"], rank_pattern={"layers.0.self_attn.q_proj": 3, "q_proj": 2}
        ),
        "another module whole": lora(modules_to_save=["lm_head"]),
        "tokens": lora(trainable_token_indices=[3, 4, 5]),
        "a parameter": lora(target_modules=r".*\.q_proj", target_parameters=["mlp.down_proj.weight"]),
        "rslora, biases": lora(use_rslora=True, bias="lora_only"),
        "orthogonal": lora(init_lora_weights="orthogonal"),
        "eva": lora(init_lora_weights="eva"),
        "ia3": lambda: peft.IA3Config(target_modules=["k_proj", "down_proj"], feedforward_modules=["down_proj"]),
        "ia3 by patterns": lambda: peft.IA3Config(
            target_modules=r".*\.(k_proj|down_proj)", feedforward_modules=r".*\.down_proj"
        ),
        "loha": lambda: peft.LoHaConfig(r=4, target_modules=r".*\.q_proj", rank_pattern={r"model.*0.*": 2}),
        "lokr": lambda: peft.LoKrConfig(r=4, target_modules=["q_proj"]),
        "vera": lambda: peft.VeraConfig(r=8, target_modules=["q_proj", "o_proj"]),
        "oft": lambda: peft.OFTConfig(oft_block_size=8, target_modules=r".*\.q_proj"),
        "norms": lambda: peft.LNTuningConfig(target_modules=["input_layernorm"]),
        "vblora": lambda: peft.VBLoRAConfig(r=4, target_modules=["q_proj"], num_vectors=8, vector_length=8, topk=2),
        "fourierft": lambda: peft.FourierFTConfig(n_frequency=50, target_modules=["q_proj"]),
        "tokens alone": lambda: peft.TrainableTokensConfig(token_indices=[3, 4, 5]),
    }


EXPERTS = {
    "a list": {"target_modules": ["q_proj", "gate_proj", "up_proj", "down_proj"]},
    "a pattern": {"target_modules": r".*\.(q_proj|gate_proj|up_proj|down_proj)"},
    "all layers": {"target_modules": "all-linear"},
    "parameters": {"target_modules": r".*\.q_proj", "target_parameters": ["mlp.experts.gate_up_proj"]},
    "attention": {"target_modules": r".*self_attn.*(q|v)_proj"},
}


@pytest.mark.parametrize("which", list(EXPERTS))
def test_an_adapter_of_experts_answers_as_before(which: str, tmp_path: Path) -> None:
    """PEFT makes ranks of experts' parameters, and names them by patterns itself."""
    import torch
    from peft import LoraConfig, PeftModel

    model = small_model("qwen3_moe", tmp_path)
    made = LoraConfig(r=4, task_type="CAUSAL_LM", **EXPERTS[which])  # type: ignore[arg-type]
    before = with_adapter(tmp_path / "given", made, model)
    (tmp_path / "staged").mkdir()
    take_in(tmp_path / "given", tmp_path / "staged")
    after = logits(PeftModel.from_pretrained(base(model), tmp_path / "staged").eval())
    assert torch.equal(before, after)
    assert not torch.equal(after, logits(base(model)))


def lacking(told: list[warnings.WarningMessage]) -> list[str]:
    """What PEFT says of tensors that it misses."""
    return [str(one.message) for one in told if "missing adapter keys" in str(one.message)]


@pytest.mark.parametrize("which", list(configs()))
def test_an_adapter_answers_as_before(which: str, tmp_path: Path) -> None:
    import torch
    from peft import PeftModel

    before = with_adapter(tmp_path / "given", configs()[which]())
    staged = tmp_path / "staged"
    staged.mkdir()
    taken = take_in(tmp_path / "given", staged)
    assert sorted(path.name for path in staged.iterdir()) == ["adapter_config.json", "adapter_model.safetensors"]
    kept = json.loads((staged / "adapter_config.json").read_text())
    assert kept == dict(taken.config)
    named = [kept.get("target_modules"), kept.get("exclude_modules"), kept.get("feedforward_modules")]
    assert not any(isinstance(value, str) for value in named)
    keys = [key for value in kept.values() if isinstance(value, dict) for key in value]
    assert all(re.fullmatch(r"[\w.\\]+", key) for key in keys)
    with warnings.catch_warnings(record=True) as given:
        warnings.simplefilter("always")
        PeftModel.from_pretrained(base(), tmp_path / "given")
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        after = logits(PeftModel.from_pretrained(base(), staged).eval())
    assert lacking(told) == lacking(given)
    assert torch.equal(before, after)
    assert not torch.equal(after, logits(base()))
    assert taken.tensors == len(load_file(tmp_path / "given" / "adapter_model.safetensors"))
    again = tmp_path / "again"
    again.mkdir()
    assert take_in(staged, again).notes == ()
    assert content_digest(again) == content_digest(staged)


def test_what_may_be_said_is_that_of_the_installed_peft() -> None:
    from graftlm_plugins.methods.schema_words import LEFT_OUT, SUMMARIES

    assert PLACE.read_text(encoding="utf-8") == written()
    assert {name.lower() for name in known()["kinds"]} == SUMMARIES.keys() | {"lora"}
    assert {name.lower() for name in NOT_TAKEN} == LEFT_OUT.keys() - {"lora"}


def test_the_first_of_several_ranks_counts(tmp_path: Path) -> None:
    """PEFT takes the first key that matches; where keys are sorted, that must not change."""
    import peft
    from peft import PeftModel

    ranks = {"layers.0.self_attn.q_proj": 3, "q_proj": 2}
    with_adapter(tmp_path / "given", peft.LoraConfig(r=4, target_modules=["q_proj"], rank_pattern=ranks))
    path = tmp_path / "given" / "adapter_config.json"
    config = json.loads(path.read_text())
    config["rank_pattern"] = {"model.layers.0.self_attn.q_proj": 3, "layers.0.self_attn.q_proj": 9, "q_proj": 2}
    path.write_text(json.dumps(config))
    (tmp_path / "staged").mkdir()
    taken = take_in(tmp_path / "given", tmp_path / "staged")
    assert sorted(taken.config["rank_pattern"].values()) == [2, 2, 2, 3]
    PeftModel.from_pretrained(base(), tmp_path / "staged")


@pytest.fixture
def good(tmp_path: Path) -> Path:
    return write(tmp_path)


def packed(folder: Path, kind: str, inside: str) -> Path:
    """The folder as an archive, its files in a folder or not."""
    target = folder.with_name(f"packed{kind}")
    files = sorted(folder.iterdir())
    if kind == ".zip":
        with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
            if inside:
                archive.mkdir(inside)
            for file in files:
                archive.write(file, inside + file.name)
        return target
    ways = {".tar": "w", ".tgz": "w:gz", ".tar.gz": "w:gz", ".tar.xz": "w:xz"}
    with tarfile.open(str(target), ways[kind]) as archive:  # type: ignore[call-overload]
        if inside:
            archive.add(folder, inside, recursive=False)
        for file in files:
            archive.add(file, inside + file.name)
    return target


@pytest.mark.parametrize("inside", ["", "adapter/", "./"])
@pytest.mark.parametrize("kind", [".zip", ".tar", ".tgz", ".tar.gz", ".tar.xz"])
def test_an_archive_is_the_same_as_its_folder(kind: str, inside: str, good: Path, tmp_path: Path) -> None:
    if (kind, inside) == (".zip", "./"):
        inside = "a b/"
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    taken = take_in(good, tmp_path / "one")
    assert take_in(packed(good, kind, inside), tmp_path / "two").config == taken.config
    assert content_digest(tmp_path / "one") == content_digest(tmp_path / "two")


def test_what_lies_beside_is_told_and_not_opened(good: Path, tmp_path: Path) -> None:
    """A trainer's output: its checkpoints, its pickles, the tokenizer, a record."""
    for name in ("training_args.bin", "optimizer.pt", "tokenizer.json", "README.md"):
        (good / name).write_bytes(b"\x80\x04N.")
    (good / "graftlm.json").write_bytes(b"{not read")
    template = "{% for m in messages %}{{ m.content }}{% endfor %}"
    (good / "tokenizer_config.json").write_text(
        json.dumps({"chat_template": [{"name": "default", "template": template}]})
    )
    shutil.copytree(good, tmp_path / "copy")
    (tmp_path / "copy").rename(good / "checkpoint-10")
    (tmp_path / "staged").mkdir()
    taken = take_in(good, tmp_path / "staged")
    assert (taken.record, taken.chat_template, taken.peft_type) == (b"{not read", template, "LORA")
    assert (taken.base, taken.tensors, taken.bytes) == ("tiny-mistral", 4, 4 * 4 * 8 * 4)
    assert taken.notes == (
        "left aside, and never opened, since a pickle can run code: optimizer.pt, training_args.bin",
        "left aside: README.md, checkpoint-10, tokenizer.json",
    )
