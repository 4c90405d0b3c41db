"""FlashAttention itself, where it is installed: against torch's attention, and as a backend."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from conftest import Said

from graftlm.environments.probing import probe
from graftlm.testing.tiny_models import lora
from graftlm_registry.installed import installed_version
from graftlm_registry.models import catalogue

pytestmark = pytest.mark.gpu
MODELS = [name for name in catalogue().names() if catalogue().entry(name).folder is not None]
PACKAGES = {"flash-attn": "flash_attention_2", "flash-attn-3": "flash_attention_3"}
LENGTHS = (37, 5, 90, 1, 64)


@pytest.fixture(autouse=True)
def _cuda(home: Path) -> None:
    if "cuda" not in probe().device_types:
        pytest.skip("no CUDA device here")


def needed(accelerator: str) -> None:
    if not installed_version(accelerator):
        pytest.skip(f"{accelerator} is not installed here")
    best = max((d.compute_capability or (0, 0) for d in probe().devices if d.type == "cuda"), default=(0, 0))
    if best < (8, 0) or (accelerator == "flash-attn-3" and best[0] != 9):
        pytest.skip(f"{accelerator} has no kernels for compute capability {best[0]}.{best[1]}")


def samples(vocabulary: int, lengths: Sequence[int] = LENGTHS) -> list[Any]:
    """Ids of each sample, ``int64[tokens]``."""
    import torch

    drawn = torch.Generator().manual_seed(4)
    return [torch.randint(3, vocabulary, (length,), generator=drawn) for length in lengths]


def adapted(model: str, attention: str, dtype: Any, device: str) -> Any:
    """A built-in model with a LoRA whose matrices are both random, in fp32 as they are when they are trained, and the
    same ones each time.
    """
    import torch
    from transformers import AutoModelForCausalLM

    base = AutoModelForCausalLM.from_pretrained(
        catalogue().entry(model).folder, dtype=dtype, attn_implementation=attention
    ).to(device)
    assert base.config._attn_implementation == attention
    targets = {name.rpartition(".")[2] for name, _ in base.named_modules() if "att" in name and "." in name}
    known = ("q_proj", "k_proj", "v_proj", "o_proj", "query_key_value", "dense")
    torch.manual_seed(1)
    return lora(base, [name for name in known if name in targets], random=True).to(device).train()


def logits_and_gradients(model: Any, rows: list[Any], packed: bool, dtype: Any, device: str) -> tuple[Any, Any]:
    """``float32[tokens, vocabulary]``, and the gradients of the summed loss as one vector; under autocast, as the
    worker computes.
    """
    import torch

    alone = [{"input_ids": row[None]} for row in rows]
    positions = torch.cat([torch.arange(len(row)) for row in rows])[None]
    given = [{"input_ids": torch.cat(rows)[None], "position_ids": positions}] if packed else alone
    found = []
    for inputs in given:
        inputs = {name: tensor.to(device) for name, tensor in inputs.items()}
        with torch.autocast(device, dtype, enabled=dtype != torch.float32):
            logits = model(**inputs, use_cache=False).logits[0].float()
        found.append(logits)
    logits = torch.cat(found)
    ids, first = torch.cat(rows).to(device), (positions[0] == 0).to(device)
    learned = ~first[1:]  # no sample's first token follows from the one before it
    torch.nn.functional.cross_entropy(logits[:-1][learned], ids[1:][learned], reduction="sum").backward()
    gradients = [p.grad.float().flatten() for p in model.parameters() if p.grad is not None]
    return logits.detach(), torch.cat(gradients)


def errors(model: str, attention: str, dtype: Any, device: str) -> dict[str, tuple[float, float]]:
    """Of logits and gradients in a half: those of packed rows with ``attention``, and those of separate rows with
    sdpa, each against fp32 and as a share of it.
    """
    import torch

    rows = samples(catalogue().entry(model).config["vocab_size"])
    rounded = adapted(model, "sdpa", dtype, device).float()  # the same weights, computed with in fp32
    exact = logits_and_gradients(rounded, rows, False, torch.float32, device)
    plain = logits_and_gradients(adapted(model, "sdpa", dtype, device), rows, False, dtype, device)
    flash = logits_and_gradients(adapted(model, attention, dtype, device), rows, True, dtype, device)
    return {
        what: (float((f - e).norm() / e.norm()), float((p - e).norm() / e.norm()))
        for what, e, p, f in zip(("logits", "gradients"), exact, plain, flash, strict=True)
    }


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
@pytest.mark.parametrize("accelerator", PACKAGES)
def test_packed_rows_are_as_near_to_fp32_as_separate_ones_with_sdpa(model: str, dtype: str, accelerator: str) -> None:
    import torch

    needed(accelerator)
    for what, (flash, plain) in errors(model, PACKAGES[accelerator], getattr(torch, dtype), "cuda").items():
        assert 0 < flash < 2 * plain + 1e-3, what


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("dtype", ["bf16", "fp16"])
def test_the_preset_trains_from_the_command_line(
    run: Callable[..., Said], alpaca: Path, model: str, dtype: str
) -> None:
    needed("flash-attn")
    asked = [
        "train", alpaca, "--model", model, "--dtype", dtype, "--max-steps", "20", "--learning-rate", "3e-3",
        "--seed", "3", "--no-retention", "--json",
    ]  # fmt: skip

    def outcome(*more: str) -> dict[str, Any]:
        said = run(*asked, *more)
        assert said.code == 0, said.err
        found: dict[str, Any] = json.loads(said.out)["outcome"]
        return found

    flash, plain = outcome("--backend", "flash-attn"), outcome("--backend", "peft")
    assert (flash["effective"]["attention"], flash["effective"]["packing"]) == ("flash_attention_2", True)
    assert (flash["effective"]["backend"], flash["effective"]["device"]) == ("peft", "cuda")
    assert flash["effective"]["dtype"] == dtype
    assert flash["losses"][0] == pytest.approx(plain["losses"][0], abs=0.02)
    assert flash["losses"] == pytest.approx(plain["losses"], abs=0.1)
    assert flash["losses"][-1] < flash["losses"][0]


def test_transformers_trainer_takes_packed_rows_too(run: Callable[..., Said], alpaca: Path) -> None:
    needed("flash-attn")
    said = run(
        "train", alpaca, "--model", "tiny-mistral", "--dtype", "bf16", "--max-steps", "10", "--no-retention", "--json",
        "--backend", "trainer", "--accelerator", "flash-attn",
    )  # fmt: skip
    assert said.code == 0, said.err
    effective = json.loads(said.out)["outcome"]["effective"]
    assert (effective["backend"], effective["attention"], effective["packing"]) == (
        "trainer", "flash_attention_2", True,
    )  # fmt: skip


def test_fp32_is_refused_before_anything_is_loaded(run: Callable[..., Said], alpaca: Path) -> None:
    needed("flash-attn")
    said = run("train", alpaca, "--model", "tiny-mistral", "--dtype", "fp32", "--backend", "flash-attn")
    assert said.code == 2
    assert "computes in bf16 and fp16, not in fp32" in said.err
