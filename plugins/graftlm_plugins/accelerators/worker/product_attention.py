"""Attention of a row's samples by products of matrices in fp32: what ``varlen`` computes on a CPU.

torch's fused attention is slow there in the backward pass (four times what its products take, in bf16 more), and takes
no keys that queries share. Here the queries that share keys are one matrix, a block of them at a time sees the keys up
to its own end, and nothing as large as a block of scores is kept: the backward pass computes them again.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Any

import torch

BLOCK = 128
"""Queries at a time: a block of scores is ``[heads, BLOCK, keys]``."""


class ProductAttention(torch.autograd.Function):
    """Causal attention within each sample. ``query`` is ``[1, heads, tokens, size]``, ``key`` and ``value`` perhaps
    have fewer heads, ``lengths`` are the samples' in order; ``window`` keys are seen at most, all where it is 0. The
    result is ``[1, tokens, heads, size]`` in the query's precision.
    """

    @staticmethod
    def forward(
        ctx: Any,
        query: torch.Tensor,
        key: torch.Tensor,
        value: torch.Tensor,
        lengths: Sequence[int],
        scale: float,
        window: int,
    ) -> torch.Tensor:
        ctx.save_for_backward(query, key, value)
        ctx.lengths, ctx.scale, ctx.window = lengths, scale, window
        queries, keys, values = _grouped(query, key, value, scale)
        groups, each, tokens, _ = queries.shape
        out = query.new_empty(1, tokens, groups, each, value.shape[-1])
        for begin, start, end in _blocks(lengths):
            shares = _shares(queries, keys, begin, start, end, window)
            part = torch.bmm(shares, values[:, begin:end])
            out[0, start:end] = part.view(groups, each, end - start, -1).permute(2, 0, 1, 3)
        return out.flatten(2, 3)

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[Any, ...]:
        query, key, value = ctx.saved_tensors
        queries, keys, values = _grouped(query, key, value, ctx.scale)
        groups, each, tokens, size = queries.shape
        given = gradients[0][0].view(tokens, groups, each, -1).permute(1, 2, 0, 3).float()
        back = torch.empty_like(queries, memory_format=torch.contiguous_format)
        back_key, back_value = torch.zeros_like(keys), torch.zeros_like(values)
        for begin, start, end in _blocks(ctx.lengths):
            shares = _shares(queries, keys, begin, start, end, ctx.window)
            mine = given[:, :, start:end].reshape(groups, each * (end - start), -1)
            back_value[:, begin:end] += torch.bmm(shares.transpose(1, 2), mine)
            of_shares = torch.bmm(mine, values[:, begin:end].transpose(1, 2))
            of_scores = torch._softmax_backward_data(of_shares, shares, -1, torch.float32)
            back[:, :, start:end] = torch.bmm(of_scores, keys[:, begin:end]).view(groups, each, end - start, size)
            asked = queries[:, :, start:end].reshape(groups, each * (end - start), size)
            back_key[:, begin:end] += torch.bmm(of_scores.transpose(1, 2), asked)
        back *= ctx.scale
        found = back.view(query.shape).to(query.dtype), back_key[None].to(key.dtype), back_value[None].to(value.dtype)
        return *found, None, None, None


def _grouped(
    query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, scale: float
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """In fp32: scaled queries by the keys that they share, ``[key heads, queries each, tokens, size]``."""
    groups = key.shape[1]
    queries = query[0].view(groups, query.shape[1] // groups, *query.shape[2:]).float() * scale
    return queries, key[0].float(), value[0].float()


def _blocks(lengths: Sequence[int]) -> Iterator[tuple[int, int, int]]:
    """Where a sample begins, and a block of its tokens starts and ends."""
    begin = 0
    for length in lengths:
        for start in range(begin, begin + length, BLOCK):
            yield begin, start, min(start + BLOCK, begin + length)
        begin += length


def _shares(queries: torch.Tensor, keys: torch.Tensor, begin: int, start: int, end: int, window: int) -> torch.Tensor:
    """What each query of a block takes of each key since its sample's beginning, ``[key heads, queries, keys]``."""
    groups, each, _, size = queries.shape
    count = end - start
    asked = queries[:, :, start:end].reshape(groups, each * count, size)
    scores = torch.bmm(asked, keys[:, begin:end].transpose(1, 2))
    seen = scores.view(groups, each, count, end - begin)
    seen[..., start - begin :].masked_fill_(_later(count), -torch.inf)
    if window and end - begin > window:
        places = torch.arange(start, end)[:, None] - torch.arange(begin, end)
        seen.masked_fill_(places >= window, -torch.inf)
    return torch.softmax(scores, -1)


@lru_cache(maxsize=BLOCK)
def _later(count: int) -> torch.Tensor:
    """Keys that come after a query, ``bool[count, count]``."""
    return torch.ones(count, count, dtype=torch.bool).triu_(1)
