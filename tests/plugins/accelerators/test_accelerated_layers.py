"""What the built-in accelerators do to a model's layers, and where they stand aside."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from small_models import LLAMA_LIKE

from graftlm.api import Batch, RunError
from graftlm.testing.tiny_models import build, lora
from graftlm.worker.plain_loss import PlainLoss
from graftlm_plugins.accelerators.worker.fused_linear import FusedLora
from graftlm_plugins.accelerators.worker.supervised_loss import SupervisedLoss
from graftlm_plugins.accelerators.worker.varlen_attention import VarlenAttention, lengths_of

ALL = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")
CONFIG = {"model_type": "mistral", "vocab_size": 97, "sliding_window": None, **LLAMA_LIKE}


def context(model: Any) -> Any:
    plan = SimpleNamespace(training=SimpleNamespace(label_smoothing=0.0))
    return SimpleNamespace(model=model, device="cpu", happened={}, plan=plan)


def model_of(**changes: Any) -> Any:
    return lora(build({**CONFIG, **changes}), ALL, random=True).train()


def packed(*lengths: int) -> Batch:
    torch.manual_seed(5)
    ids = torch.randint(3, 97, (1, sum(lengths)))
    positions = torch.cat([torch.arange(length) for length in lengths])[None]
    labels = torch.where(positions == 0, -100, ids)
    return Batch(ids=ids, labels=labels, mask=None, positions=positions, tokens=ids.numel(), trained=ids.numel())


@contextmanager
def entered(patch: type, model: Any) -> Iterator[dict[str, Any]]:
    given = context(model)
    with patch(given):
        yield given.happened


def test_layers_that_read_the_same_input_are_one_function() -> None:
    """Queries, keys and values; the output; gate and up; down: four in each of two layers."""
    with entered(FusedLora, model_of()) as happened:
        assert happened == {"layers": 14, "functions": 8}


def test_a_bare_base_answers_as_it_does_where_lora_is_turned_off() -> None:
    model = model_of().eval()
    ids = packed(9).ids
    with torch.no_grad(), model.disable_adapter():
        bare = model(input_ids=ids).logits
    tuned = model(input_ids=ids).logits
    with entered(FusedLora, model), torch.no_grad():
        with model.disable_adapter():
            assert torch.equal(model(input_ids=ids).logits, bare)
        assert torch.allclose(model(input_ids=ids).logits, tuned, atol=1e-5)


def test_numbers_of_another_precision_come_in_under_autocast() -> None:
    """A norm that is trained is in fp32, and gives fp32 to layers in bf16."""
    model = model_of().to(torch.bfloat16)
    for name, parameter in model.named_parameters():
        if "lora_" in name or "norm" in name:
            parameter.data = parameter.data.float()
    batch = packed(9)
    found = []
    for patch in (None, FusedLora):
        model.zero_grad()
        with entered(patch, model) if patch else nullcontext(), torch.autocast("cpu", torch.bfloat16):
            PlainLoss("cpu")(model, batch).backward()  # type: ignore[no-untyped-call]
        found.append({n: p.grad.clone() for n, p in model.named_parameters() if p.grad is not None})
    plain, fused = found
    assert plain.keys() == fused.keys()
    assert all(float((g - fused[n]).norm() / g.norm()) < 0.1 for n, g in plain.items())


def test_a_model_without_plain_lora_is_refused() -> None:
    with pytest.raises(RunError, match="no layer of this model has a plain LoRA"):
        FusedLora(context(build(CONFIG)))


def test_a_window_is_kept_in_every_sample() -> None:
    """Samples that are longer than the window, and shorter ones, against each by itself."""
    model = model_of(sliding_window=6)
    batch = packed(15, 4, 9)
    apart = [model(input_ids=ids[None], use_cache=False).logits[0] for ids in batch.ids[0].split([15, 4, 9])]
    with entered(VarlenAttention, model) as happened:
        together = model(**batch.inputs("cpu")).logits[0]
    assert torch.allclose(together, torch.cat(apart), atol=1e-5)
    assert happened == {"samples in a row": 3}


def test_padded_rows_and_caches_go_where_they_went() -> None:
    model = model_of().eval()
    ids, mask = torch.randint(3, 97, (2, 8)), torch.tensor([[1] * 8, [1] * 5 + [0] * 3])
    with torch.no_grad():
        plain = model(input_ids=ids, attention_mask=mask, use_cache=False).logits
        answer = model.generate(input_ids=ids[:1], max_new_tokens=5, do_sample=False)
        with entered(VarlenAttention, model):
            assert torch.equal(model(input_ids=ids, attention_mask=mask, use_cache=False).logits, plain)
            assert torch.equal(model.generate(input_ids=ids[:1], max_new_tokens=5, do_sample=False), answer)


def test_borders_are_where_positions_start_anew() -> None:
    assert lengths_of(packed(3, 1, 5).positions) == (3, 1, 5)  # type: ignore[arg-type]
    with pytest.raises(RunError, match="do not start from 0"):
        lengths_of(torch.tensor([[1, 2, 0, 1]]))


@pytest.mark.parametrize("chunk", [1, 7, 10_000])
@pytest.mark.parametrize("head_trains", [False, True])
def test_chunks_of_any_size_give_the_loss_and_its_gradients(chunk: int, head_trains: bool) -> None:
    model = model_of()
    model.get_output_embeddings().weight.requires_grad_(head_trains)
    batch = packed(12, 8)
    found = []
    for loss in (PlainLoss("cpu"), SupervisedLoss(context(model))):
        if isinstance(loss, SupervisedLoss):
            loss._chunk = chunk
        model.zero_grad()
        value = loss(model, batch)
        value.backward()
        found.append((value.detach(), {n: p.grad.clone() for n, p in model.named_parameters() if p.grad is not None}))
    (plain, gradients), (chunked, others) = found
    assert torch.allclose(plain, chunked, rtol=1e-6)
    assert gradients.keys() == others.keys()
    assert all(torch.allclose(g, others[n], rtol=1e-4, atol=1e-6) for n, g in gradients.items())


def test_what_a_model_does_to_its_logits_is_done_to_the_chosen_ones() -> None:
    """Falcon-H1 multiplies them."""
    config = {
        **LLAMA_LIKE, "model_type": "falcon_h1", "vocab_size": 97, "mamba_d_ssm": 128, "mamba_n_heads": 8,
        "mamba_d_head": 16, "mamba_d_state": 16, "mamba_n_groups": 1, "mamba_chunk_size": 16, "lm_head_multiplier": 0.3,
    }  # fmt: skip
    model = lora(build(config), ("q_proj", "v_proj"), random=True).train()
    torch.manual_seed(0)
    ids = torch.randint(3, 97, (2, 10))
    labels = torch.where(torch.rand(2, 10) < 0.5, -100, ids)
    batch = Batch(ids=ids, labels=labels, mask=torch.ones_like(ids), tokens=20, trained=1)
    plain = PlainLoss("cpu")(model, batch)
    assert torch.allclose(SupervisedLoss(context(model))(model, batch), plain, rtol=1e-5)
    assert float(plain) > 0
