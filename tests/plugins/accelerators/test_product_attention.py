"""Attention by products of matrices against torch's own, in any cut into samples."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn.functional import scaled_dot_product_attention

from graftlm_plugins.accelerators.worker import product_attention as under_test
from graftlm_plugins.accelerators.worker.product_attention import ProductAttention
from graftlm_plugins.accelerators.worker.varlen_attention import VarlenAttention

Tensors = tuple[torch.Tensor, torch.Tensor, torch.Tensor]


def drawn(tokens: int, heads: int, shared: int, dtype: torch.dtype = torch.float32) -> Tensors:
    torch.manual_seed(tokens)
    shapes = ((1, tokens, heads, 8), (1, tokens, shared, 8), (1, tokens, shared, 6))
    # as projections give them: heads behind tokens in memory
    query, key, value = (torch.randn(shape).transpose(1, 2).to(dtype).requires_grad_() for shape in shapes)
    return query, key, value


def expected(given: Tensors, lengths: list[int], scale: float, window: int) -> torch.Tensor:
    """One mask over the whole row, in fp64."""
    query, key, value = (part.double() for part in given)
    sample = torch.repeat_interleave(torch.arange(len(lengths)), torch.tensor(lengths))
    distance = torch.arange(len(sample))[:, None] - torch.arange(len(sample))
    seen = (sample[:, None] == sample) & (distance >= 0) & ((distance < window) if window else True)
    each = query.shape[1] // key.shape[1]
    key, value = key.repeat_interleave(each, 1), value.repeat_interleave(each, 1)
    return scaled_dot_product_attention(query, key, value, attn_mask=seen, scale=scale).transpose(1, 2).flatten(2)


@settings(deadline=None, max_examples=60)
@given(
    lengths=st.lists(st.integers(1, 40), min_size=1, max_size=5),
    heads=st.sampled_from([(4, 4), (6, 2), (4, 1)]),
    window=st.sampled_from([0, 1, 3, 16, 100]),
    block=st.sampled_from([1, 7, 16, 128]),
)
def test_outputs_and_gradients(lengths: list[int], heads: tuple[int, int], window: int, block: int) -> None:
    given = drawn(sum(lengths), *heads)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(under_test, "BLOCK", block)
        found = ProductAttention.apply(*given, tuple(lengths), 0.3, window)
        back = torch.randn(found.shape)
        gradients = torch.autograd.grad(found, given, back.view_as(found))
    truth = expected(given, lengths, 0.3, window).view_as(found)
    assert torch.allclose(found.double(), truth, rtol=1e-4, atol=1e-6)
    for mine, its in zip(gradients, torch.autograd.grad(truth, given, back.view_as(truth).double()), strict=True):
        assert torch.allclose(mine, its, rtol=1e-4, atol=1e-5)


def test_in_16_bits_it_rounds_its_result_alone() -> None:
    given = drawn(60, 6, 2, torch.bfloat16)
    found = ProductAttention.apply(*given, (40, 20), 0.3, 0)
    assert found.dtype == torch.bfloat16
    truth = expected(given, [40, 20], 0.3, 0).view_as(found)
    assert torch.equal(found, truth.to(torch.bfloat16)) or float((found - truth).abs().max()) < 2**-7
    assert all(g.dtype == torch.bfloat16 for g in torch.autograd.grad(found.float().sum(), given))


@pytest.mark.parametrize("spread", [1.0, 4.0, 8.0])
def test_scores_are_in_fp32_under_autocast_too(spread: float) -> None:
    """As in training: rounded scores would be another function than the one whose gradient is computed."""
    query, key, value = drawn(64, 6, 2, torch.bfloat16)
    given = (query * spread, key, value)
    patch = VarlenAttention(SimpleNamespace(model=None, happened={}))  # type: ignore[arg-type]
    positions = torch.cat([torch.arange(40), torch.arange(24)])[None]
    patch._take(positions)
    patch._packed = True
    with torch.autocast("cpu", torch.bfloat16):
        found, _ = patch.attend(None, *given, None, scaling=1.0)
    truth = expected(given, [40, 24], 1.0, 0).view_as(found)
    assert float((found - truth).norm() / truth.norm()) < 2**-8


def test_nothing_as_large_as_the_scores_is_kept() -> None:
    given = drawn(300, 4, 2)
    kept: list[torch.Tensor] = []
    with torch.autograd.graph.saved_tensors_hooks(lambda t: kept.append(t) or t, lambda t: t):  # type: ignore[func-returns-value]
        ProductAttention.apply(*given, (300,), 0.3, 0)
    assert [each.shape for each in kept] == [part.shape for part in given]
