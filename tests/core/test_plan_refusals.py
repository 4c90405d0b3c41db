"""What cannot be is refused by the plan, in one sentence that says what to give instead, before torch is imported."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from conftest import Said, alpaca_rows
from small_models import ARCHITECTURES
from test_front_imports import HEAVY

from graftlm.contracts.config import RunConfig
from graftlm.contracts.serial import to_json
from graftlm.contracts.situation import Device, Probe
from graftlm.environments.probing import signature
from graftlm.planning.resolve import resolve
from graftlm_registry.models import catalogue
from graftlm_registry.plugins import registry

CHATGLM = {
    "hidden_size": 32, "num_layers": 2, "num_attention_heads": 4, "kv_channels": 8, "multi_query_attention": True,
    "multi_query_group_num": 2, "ffn_hidden_size": 48, "padded_vocab_size": 704, "seq_length": 256,
}  # fmt: skip
"""An architecture that transformers has no code for."""
GPTQ = {"quantization_config": {"quant_method": "gptq", "bits": 4}}


@dataclass(frozen=True)
class Case:
    """``flags`` that cannot be, the ``words`` of the refusal, and the flags that go ``instead``."""

    name: str
    model: str
    flags: str
    words: tuple[str, ...]
    instead: str | None = ""


CASES = (
    # precision and quantization
    Case("dtype-unknown", "mistral", "--dtype bf61", ("--dtype", "'bf61'", "'bf16'"), "--dtype bf16"),
    Case("fp16-trainer-cpu", "mistral", "--dtype fp16 --backend trainer --device cpu",
         ("fp16", "without mixed precision", "--backend peft"), "--dtype fp16 --backend peft --device cpu"),
    Case("quantization-unknown", "mistral", "--quantization nf5", ("nf5", "'nf4'"), "--quantization nf4"),
    Case("nf4-full", "qwen2", "--quantization nf4 --method full", ("--method lora", "full"),
         "--quantization nf4 --method lora"),
    Case("int8-freeze", "qwen2", "--quantization int8 --method freeze", ("--quantization none", "freeze"),
         "--quantization none --method freeze"),
    Case("torchao-full", "glm4", "--quantization torchao-int8 --method full", ("--quantization none", "full"),
         "--method full"),
    Case("nf4-pissa", "mistral", "--quantization nf4 --method pissa", ("pissa", "quantized", "--method lora"),
         "--quantization nf4"),
    Case("nf4-olora-option", "mistral", "--quantization int4 --set method.init_lora_weights=olora",
         ("olora", "quantized", "--method lora"), "--quantization int4 --set method.init_lora_weights=gaussian"),
    Case("nf4-loha", "mistral", "--quantization nf4 --method loha", ("loha", "quantized"), "--method loha"),
    Case("int8-dora-cpu", "mistral", "--quantization int8 --method dora --device cpu",
         ("DoRA", "int8", "CPU", "nf4"), "--quantization nf4 --method dora --device cpu"),
    Case("int8-dora-option-cpu", "falcon-7b", "--quantization int8 --set method.use_dora=true --device cpu",
         ("DoRA", "int8", "nf4"), "--quantization int8 --device cpu"),
    Case("nf4-mixtral", "mixtral", "--quantization nf4", ("fused experts", "quantization.partial=true"),
         "--quantization nf4 --set quantization.partial=true"),
    Case("int8-qwen3-moe", "qwen3_moe", "--quantization int8", ("fused experts", "quantization.partial=true"),
         "--quantization int8 --set quantization.partial=true"),
    Case("torchao-glm4-moe", "glm4_moe", "--quantization torchao-int8", ("fused experts", "torchao"), ""),
    Case("stored-quantized", "gptq", "", ("quantized already", "gptq", "take the model"), None),
    Case("nf4-threshold", "mistral", "--quantization nf4 --set quantization.threshold=4", ("threshold",),
         "--quantization int8 --set quantization.threshold=4"),
    # RoPE and lengths
    Case("rope-alibi", "falcon-rw", "--rope linear:2", ("--rope linear:2", "alibi"), ""),
    Case("context-alibi", "falcon-rw", "--context-length 256", ("--context-length 256", "alibi"), ""),
    Case("rope-kind", "qwen3", "--rope yarm:4", ("'yarn'",), "--rope yarn:4"),
    Case("rope-twice", "qwen3", "--rope linear:2 --context-length 512", ("give one of them",), "--context-length 512"),
    Case("max-length", "mistral", "--max-length 129", ("--max-length 129", "128 positions", "--context-length 129"),
         "--max-length 129 --context-length 129"),
    # targets
    Case("mixtral-mlp", "mixtral", "--target-modules mlp", ("--target-modules mlp", "experts"),
         "--target-modules attention"),
    Case("qwen3-moe-gate-proj", "qwen3_moe", "--target-modules q_proj,gate_proj", ("gate_proj",),
         "--target-modules q_proj,v_proj"),
    Case("glm4-moe-up-proj", "glm4_moe", "--target-modules up_proj", ("--target-modules up_proj", "experts"),
         "--target-modules o_proj"),
    Case("falcon-h1-out-proj", "falcon_h1", "--target-modules out_proj", ("--target-modules out_proj",),
         "--target-modules in_proj"),
    Case("shared-expert-gate", "qwen2_moe", "--target-modules shared_expert_gate", ("single output",),
         "--target-modules mlp"),
    Case("a-part-of-the-list", "mistral", "--target-modules q_proj,qq_proj", ("qq_proj", "'q_proj'"),
         "--target-modules q_proj,o_proj"),
    Case("falcon-has-no-q-proj", "falcon-7b", "--target-modules q_proj", ("q_proj", "query_key_value"),
         "--target-modules query_key_value"),
    Case("glm-fused", "glm", "--target-modules gate_proj", ("gate_proj", "gate_up_proj"),
         "--target-modules gate_up_proj"),
    # methods: settings and options that they lack
    Case("method-unknown", "mistral", "--method lorra", ("lorra", "'lora'"), "--method lora"),
    Case("rank-full", "mistral", "--method full --rank 8", ("--rank", "full", "leave it out"), "--method full"),
    Case("targets-freeze", "mistral", "--method freeze --target-modules q_proj", ("--target-modules", "freeze"),
         "--method freeze --set method.modules=q_proj"),
    Case("dropout-loha", "mistral", "--method loha --dropout 0.1", ("--dropout", "loha"), "--method loha --rank 4"),
    Case("rank-ia3", "mistral", "--method ia3 --rank 8", ("--rank", "ia3"), "--method ia3"),
    Case("targets-ln-tuning", "mistral", "--method ln_tuning --target-modules attention",
         ("--target-modules", "ln_tuning", "leave it out"), "--method ln-tuning"),
    Case("option-of-lora-with-full", "mistral", "--method full --set method.use_dora=true",
         ("use_dora", "method"), "--method lora --set method.use_dora=true"),
    Case("option-of-freeze-with-lora", "mistral", "--set method.layers=1", ("layers",),
         "--method freeze --set method.layers=1"),
    Case("option-misspelt", "mistral", "--set method.use_rslra=true", ("use_rslra", "'use_rslora'"),
         "--set method.use_rslora=true"),
    Case("peft-option-misspelt", "mistral", "--method loha --set method.rank_dropuot=0.1",
         ("rank_dropuot", "'rank_dropout'"), "--method loha --set method.rank_dropout=0.1"),
    Case("option-no-number", "mistral", "--method freeze --set method.layers=two",
         ("method.layers is 'two'", "whole number"), "--method freeze --set method.layers=2"),
    Case("option-out-of-range", "mistral", "--method freeze --set method.layers=-1", ("at least 0",),
         "--method freeze --set method.layers=1"),
    Case("option-not-a-choice", "mistral", "--set method.init_lora_weights=pisa", ("'pissa'",),
         "--set method.init_lora_weights=pissa"),
    Case("freeze-nothing", "mistral", "--method freeze --set method.layers=0", ("nothing would be trained",),
         "--method freeze --set method.layers=0 --set method.embeddings=true"),
    Case("pissa-dora", "mistral", "--method pissa --set method.use_dora=true", ("use_dora", "choose one"),
         "--method pissa"),
    Case("iterations-without-pissa", "mistral", "--set method.pissa_iterations=4", ("init_lora_weights=pissa",),
         "--method pissa --set method.pissa_iterations=4"),
    Case("experts-dropout", "mixtral", "--set method.target_parameters=experts.gate_up_proj --dropout 0.1",
         ("target_parameters", "--dropout 0"), "--set method.target_parameters=experts.gate_up_proj"),
    Case("trainable-tokens-none", "mistral", "--method trainable-tokens", ("token_indices",),
         "--method trainable-tokens --set method.token_indices=5,6"),
    # the rest
    Case("remote-code", "chatglm", "", ("--trust-remote-code",), "--trust-remote-code"),
    Case("micro-batch", "mistral", "--batch-size 8 --micro-batch 3", ("multiple", "--micro-batch 3"),
         "--batch-size 8 --micro-batch 4"),
    Case("family", "mistral", "--family falcon", ("mistral model", "leave --family out"), ""),
    Case("device", "mistral", "--device mps", ("--device mps", "cpu"), "--device cpu"),
)  # fmt: skip


def model_folder(name: str, parent: Path) -> Path:
    """A model as a plan sees it: the small files, and a file of weights that nobody reads."""
    if name == "chatglm":
        tokenizer, config = "tiny-glm", {"model_type": "chatglm", **CHATGLM}
    else:
        more: Mapping[str, Any] = GPTQ if name == "gptq" else {}
        tokenizer, model_type, shape = ARCHITECTURES["mistral" if name == "gptq" else name]
        vocabulary = catalogue().entry(tokenizer).config["vocab_size"]
        config = {"model_type": model_type, "vocab_size": vocabulary, **shape, **more}
    source = catalogue().entry(tokenizer).folder
    assert source is not None
    folder = parent / name
    folder.mkdir()
    for file in ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja"):
        if (source / file).is_file():
            shutil.copyfile(source / file, folder / file)
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    (folder / "model.safetensors").write_bytes(b"")
    return folder


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("models")
    return {name: model_folder(name, folder) for name in sorted({case.model for case in CASES})}


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("rows") / "rows.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in alpaca_rows(20)), encoding="utf-8")
    return path


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_it_is_refused_with_what_to_give_instead(
    case: Case, run: Callable[..., Said], rows: Path, models: dict[str, Path], home: Path
) -> None:
    said = run("train", rows, "--model", models[case.model], *case.flags.split())
    assert (said.code, said.out) == (2, ""), said.err
    assert "Traceback" not in said.err
    for word in case.words:
        assert word in said.err, said.err
    assert not (home / "runs").exists()
    if case.instead is not None:
        said = run("plan", rows, "--model", models[case.model], *case.instead.split())
        assert said.code == 0, said.err + said.out


@pytest.mark.parametrize(
    "flags",
    ["--method freeze --set method.layers=3", "--set method.layers_to_transform=0,2", "--method pissa --rank 65"],
)
def test_what_the_shape_says_is_not_there_is_refused_too(
    flags: str, run: Callable[..., Said], rows: Path, models: dict[str, Path]
) -> None:
    """Of two layers, and of matrices of rank 64 and less."""
    assert run("plan", rows, "--model", models["mistral"], *flags.split()).code == 2


EACH = f"""
import json, sys
from graftlm.cli import main
for flags in json.loads(sys.argv[1]):
    sys.argv = ["graftlm", "train", *flags]
    try:
        main()
    except SystemExit as stop:
        assert stop.code == 2, (flags, stop.code)
    else:
        raise AssertionError(flags)
print(json.dumps([name for name in {(*HEAVY, "bitsandbytes", "torchao", "safetensors")!r} if name in sys.modules]))
"""


def test_none_of_it_takes_a_heavy_library(rows: Path, models: dict[str, Path], home: Path) -> None:
    flags = [[str(rows), "--model", str(models[case.model]), *case.flags.split()] for case in CASES]
    command = [sys.executable, "-c", EACH, json.dumps(flags)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr[-2000:]
    assert json.loads(done.stdout.splitlines()[-1]) == []
    assert len(done.stderr.splitlines()) >= len(CASES)


@pytest.fixture
def t4(home: Path) -> Probe:
    """What a worker says of a machine with a T4, which has no bf16."""
    devices = (
        Device(type="cuda", name="Tesla T4", memory=15_828_320_256, compute_capability=(7, 5)),
        Device(type="cpu", name="2 cores", memory=13_000_000_000),
    )
    found = Probe(python="3.11.0", versions={}, devices=devices, dtypes=("fp32", "fp16"))
    (home / "probes").unlink()
    (home / "probes").mkdir()
    (home / "probes" / f"{signature()}.json").write_bytes(to_json(found))
    return found


@pytest.mark.usefixtures("t4")
def test_a_precision_that_the_device_lacks_is_refused(
    run: Callable[..., Said], rows: Path, models: dict[str, Path]
) -> None:
    for more in ((), ("--device", "cpu")):
        said = run("train", rows, "--model", models["mistral"], "--dtype", "bf16", *more)
        assert (said.code, said.out) == (2, "")
        assert "--dtype bf16: this machine has only fp32, fp16" in said.err
    assert run("plan", rows, "--model", models["mistral"], "--dtype", "fp16").code == 0


@pytest.mark.usefixtures("t4")
def test_a_gpu_without_bf16_takes_fp16_by_itself(rows: Path, models: dict[str, Path], t4: Probe) -> None:
    def planned(**settings: Any) -> Any:
        return resolve(RunConfig(data=str(rows), model=str(models["mistral"]), **settings), registry())

    plan = planned()
    assert (plan.device, plan.dtype, plan.problems) == ("cuda", "fp16", ())
    assert 0 <= t4.devices[0].memory - plan.memory.available < 2 << 30  # what a driver takes is nobody's
    plan = planned(device="cpu")
    assert (plan.device, plan.dtype) == ("cpu", "fp32")
    assert 0 <= t4.devices[1].memory - plan.memory.available < 2 << 30
    assert planned(quantization="int8", method="dora").problems == ()  # lost on a CPU alone
    assert planned(backend="trainer", dtype="fp16").problems == ()
