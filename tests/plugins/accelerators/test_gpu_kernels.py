"""Of the accelerators for GPUs, what can be seen on a CPU: what they change, and that it is put back.

Liger's kernels are stood in for by what they compute, patched in as Liger 0.8.5 patches; the kernels themselves are
proved by ``make test-gpu``.
"""

from __future__ import annotations

import sys
from contextlib import nullcontext
from types import MethodType, ModuleType, SimpleNamespace
from typing import Any

import pytest
import torch
from small_models import LLAMA_LIKE
from torch.nn.functional import silu
from transformers.masking_utils import ALL_MASK_ATTENTION_FUNCTIONS
from transformers.models.mistral import modeling_mistral

from graftlm.api import Batch, RunError
from graftlm.testing.gradients import library_code
from graftlm.testing.tiny_models import build, lora
from graftlm.worker.plain_loss import PlainLoss
from graftlm_plugins.accelerators.worker.flex_masks import FlexMasks
from graftlm_plugins.accelerators.worker.fused_linear import FusedLora
from graftlm_plugins.accelerators.worker.liger_kernels import LigerKernels

CONFIG = {"model_type": "mistral", "vocab_size": 97, "sliding_window": None, **LLAMA_LIKE}
ALL = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")


def context(model: Any) -> Any:
    plan = SimpleNamespace(model=SimpleNamespace(facts=SimpleNamespace(shape=None)))
    return SimpleNamespace(model=model, device="cpu", happened={}, plan=plan)


def norm(self: Any, x: torch.Tensor) -> torch.Tensor:
    return self.weight * x * torch.rsqrt(x.square().mean(-1, keepdim=True) + self.variance_epsilon)  # type: ignore[no-any-return]


def product(self: Any, x: torch.Tensor) -> torch.Tensor:
    return self.down_proj(silu(self.gate_proj(x)) * self.up_proj(x))  # type: ignore[no-any-return]


def rotated(q: Any, k: Any, cos: Any, sin: Any, position_ids: Any = None, unsqueeze_dim: int = 1) -> Any:
    return plain_rotation(q, k, cos, sin, unsqueeze_dim=unsqueeze_dim)


plain_rotation = modeling_mistral.apply_rotary_pos_emb


def apply_to_mistral(
    rope: bool = True, cross_entropy: bool = False, fused_linear_cross_entropy: bool = True, rms_norm: bool = True,
    swiglu: bool = True, model: Any = None,
) -> None:  # fmt: skip
    asked = (rope, rms_norm, swiglu, cross_entropy, fused_linear_cross_entropy)
    assert asked == (True, True, True, False, False)
    modeling_mistral.apply_rotary_pos_emb = rotated
    modeling_mistral.MistralRMSNorm = SimpleNamespace
    for module in model.modules():
        for kind, forward in (("RMSNorm", norm), ("MLP", product)):
            if type(module).__name__ == f"Mistral{kind}":
                module.in_place = True
                module.__dict__["forward"] = MethodType(forward, module)


@pytest.fixture
def liger(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("liger_kernel", "liger_kernel.transformers", "liger_kernel.transformers.monkey_patch"):
        monkeypatch.setitem(sys.modules, name, ModuleType(name))
    patches = sys.modules["liger_kernel.transformers.monkey_patch"]
    patches.MODEL_TYPE_TO_APPLY_LIGER_FN = {"mistral": apply_to_mistral}  # type: ignore[attr-defined]


def packed(*lengths: int) -> Batch:
    torch.manual_seed(5)
    ids = torch.randint(3, 97, (1, sum(lengths)))
    positions = torch.cat([torch.arange(length) for length in lengths])[None]
    labels = torch.where(positions == 0, -100, ids)
    return Batch(ids=ids, labels=labels, mask=None, positions=positions, tokens=ids.numel(), trained=ids.numel())


def found(model: Any) -> dict[str, torch.Tensor]:
    model.zero_grad()
    PlainLoss("cpu")(model, packed(15, 9)).backward()  # type: ignore[no-untyped-call]
    return {n: p.grad.clone() for n, p in model.named_parameters() if p.grad is not None}


@pytest.mark.usefixtures("liger")
@pytest.mark.parametrize("fused", [False, True])
def test_liger_s_patch_is_counted_goes_with_fused_lora_and_is_taken_back(fused: bool) -> None:
    model = lora(build(CONFIG), ALL, random=True).train()
    plain, before = found(model), library_code()
    attributes = {name: set(vars(module)) for name, module in model.named_modules()}
    given = context(model)
    with LigerKernels(given), FusedLora(context(model)) if fused else nullcontext():
        assert modeling_mistral.apply_rotary_pos_emb is rotated
        there = found(model)
    assert given.happened == {
        "modules": 7,
        "rotary positions": True,
    }  # two layers' norms and products, and the last norm
    assert all(torch.allclose(g, there[n], rtol=1e-4, atol=1e-6) for n, g in plain.items())
    assert library_code() == before
    assert modeling_mistral.MistralRMSNorm is not SimpleNamespace
    assert {name: set(vars(module)) for name, module in model.named_modules()} == attributes
    assert all(torch.equal(g, found(model)[n]) for n, g in plain.items())


@pytest.mark.usefixtures("liger")
def test_an_architecture_that_this_liger_does_not_know_is_refused() -> None:
    with pytest.raises(RunError, match="no kernels for qwen2"):
        LigerKernels(context(lora(build({**CONFIG, "model_type": "qwen2"}), ALL)))


@pytest.mark.slow
def test_flex_gives_the_logits_of_samples_by_themselves() -> None:
    """Forward only: there is no backward pass on a CPU."""
    table = dict(ALL_MASK_ATTENTION_FUNCTIONS)
    batch = packed(15, 4, 9)
    with torch.no_grad():
        plain = build(CONFIG)
        apart = [plain(input_ids=ids[None], use_cache=False).logits[0] for ids in batch.ids[0].split([15, 4, 9])]
        model = build(CONFIG, "flex_attention")
        given = context(model)
        with FlexMasks(given):
            together = model(**batch.inputs("cpu")).logits[0]
    assert torch.allclose(together, torch.cat(apart), atol=1e-5)
    assert given.happened == {"masks": 1, "tokens in a row": 28}
    assert dict(ALL_MASK_ATTENTION_FUNCTIONS) == table
