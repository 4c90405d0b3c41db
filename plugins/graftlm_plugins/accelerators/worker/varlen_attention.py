"""What ``varlen`` puts in place of transformers' ``sdpa`` while it trains.

A packed row comes with positions that start anew at each sample, and without a mask. From them follow the borders; each
sample then attends to itself alone, causally: on CUDA by torch's own kernel for rows of several samples, on a CPU by
products of matrices, elsewhere by one call of ``scaled_dot_product_attention`` a sample. Everything else (padded rows,
a cache) goes to what was there.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from inspect import signature
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import torch
from torch.nn.functional import scaled_dot_product_attention
from transformers.masking_utils import ALL_MASK_ATTENTION_FUNCTIONS
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

from graftlm.api import RunError

from .product_attention import ProductAttention

if TYPE_CHECKING:
    from graftlm.api import PatchContext

NAME = "sdpa"
HALF = (torch.bfloat16, torch.float16)
LARGEST_HEAD = 256
"""Numbers a head that torch's kernel takes."""


def lengths_of(positions: torch.Tensor) -> tuple[int, ...]:
    """Of the samples in a packed row of ``int64[1, tokens]`` positions, each of which starts from 0."""
    starts = (positions[0] == 0).nonzero().flatten().tolist()
    if not starts or starts[0] != 0:
        raise RunError("varlen: the positions of a packed row do not start from 0")
    return tuple(end - start for start, end in pairwise([*starts, positions.shape[-1]]))


class VarlenAttention:
    """A patch of the stage ``adapter``. Both of transformers' tables are put back afterwards."""

    def __init__(self, context: PatchContext) -> None:
        self._model, self._happened = context.model, context.happened
        self._row: torch.Tensor | None = None
        self._lengths: tuple[int, ...] = ()
        self._packed = False
        self._attend = ALL_ATTENTION_FUNCTIONS[NAME]
        self._mask = ALL_MASK_ATTENTION_FUNCTIONS[NAME]

    def __enter__(self) -> None:
        ALL_ATTENTION_FUNCTIONS[NAME] = self.attend
        ALL_MASK_ATTENTION_FUNCTIONS[NAME] = self.mask
        decoder = self._model.get_base_model() if hasattr(self._model, "get_base_model") else self._model
        decoder = getattr(decoder, decoder.base_model_prefix)
        self._hooks = (
            decoder.register_forward_pre_hook(self._begin, with_kwargs=True),
            decoder.register_forward_hook(self._end, always_call=True),
        )

    def __exit__(self, *_: object) -> None:
        for hook in self._hooks:
            hook.remove()
        for table in (ALL_ATTENTION_FUNCTIONS, ALL_MASK_ATTENTION_FUNCTIONS):
            del table[NAME]
        self._row = None

    def _begin(self, decoder: Any, arguments: tuple[Any, ...], given: dict[str, Any]) -> None:
        positions, mask = given.get("position_ids"), given.get("attention_mask")
        self._packed = positions is not None and mask is None and not given.get("use_cache")
        if self._packed:
            self._take(positions)

    def _end(self, *_: object) -> None:
        self._packed = False

    def _take(self, positions: Any) -> None:
        """The borders of a row: looked for once a row, as its positions are the same tensor in every layer."""
        if positions is not self._row:
            if positions.shape[0] != 1:
                raise RunError("varlen: packed samples must lie in one row")
            self._row, self._lengths = positions, lengths_of(positions)
            self._happened["samples in a row"] = max(len(self._lengths), self._happened.get("samples in a row", 0))

    def mask(self, *arguments: Any, **given: Any) -> Any:
        """None for a packed row: its borders say what a mask would."""
        return None if self._packed else self._mask(*arguments, **given)

    @torch.compiler.disable  # type: ignore[untyped-decorator]  # the borders of every row would be compiled anew
    def attend(
        self,
        module: Any,
        query: torch.Tensor,
        key: torch.Tensor,
        value: torch.Tensor,
        attention_mask: torch.Tensor | None,
        **given: Any,
    ) -> tuple[torch.Tensor, None]:
        """``query`` is ``[1, heads, tokens, size]``, ``key`` and ``value`` perhaps with fewer heads; the result is
        ``[1, tokens, heads, size]``.
        """
        positions = given.get("position_ids")
        # a layer that is computed again, in the backward pass, comes with the positions of its own row
        if attention_mask is not None or not (self._packed or (positions is not None and positions is self._row)):
            elsewhere: tuple[torch.Tensor, None] = self._attend(module, query, key, value, attention_mask, **given)
            return elsewhere
        if positions is not None:
            self._take(positions)
        if sum(self._lengths) != query.shape[2]:
            raise RunError("varlen: this architecture's attention was given other rows than the model")
        window = given.get("sliding_window")
        arguments = (given.get("scaling"), given.get("dropout") or 0.0, window or 0)
        if not arguments[1] and _takes(query, value, window or 0):
            return _in_one_call(query, key, value, self._lengths, arguments[0], arguments[2]), None
        if query.device.type == "cpu" and not arguments[1]:
            scale = arguments[0] or query.shape[-1] ** -0.5
            with torch.autocast("cpu", enabled=False):  # which would make 16 bits of the products again
                out = ProductAttention.apply(query, key, value, self._lengths, scale, arguments[2])  # type: ignore[no-untyped-call]
            return out, None
        return _one_by_one(query, key, value, self._lengths, *arguments), None


def _takes(query: torch.Tensor, value: torch.Tensor, window: int) -> bool:
    """Whether torch's kernel for rows of several samples computes this: it is made for 16 bits and for GPUs from
    Ampere on, and knows windows since torch 2.13.
    """
    if not query.is_cuda or query.dtype not in HALF or max(query.shape[-1], value.shape[-1]) > LARGEST_HEAD:
        return False
    if torch.version.cuda and torch.cuda.get_device_capability(query.device) < (8, 0):
        return False
    return not window or "window_size" in _arguments()


@cache
def _arguments() -> frozenset[str]:
    """Of torch's kernel: torch 2.11 has fewer than 2.13."""
    from torch.nn.attention.varlen import varlen_attn

    return frozenset(signature(varlen_attn).parameters)


def _one_by_one(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    lengths: Sequence[int],
    scale: float | None,
    dropout: float,
    window: int,
) -> torch.Tensor:
    groups = query.shape[1] // key.shape[1]
    if groups > 1:  # the fused kernels of a CPU take no keys that queries share
        key, value = (part.repeat_interleave(groups, dim=1) for part in (key, value))
    # split, whose backward is one concatenation; each slice's would be a row of zeros
    parts = zip(*(torch.split(part, list(lengths), dim=2) for part in (query, key, value)), strict=True)
    return torch.cat([_attended(q, k, v, scale, dropout, window) for q, k, v in parts], dim=2).transpose(1, 2)


def _attended(
    query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, scale: float | None, dropout: float, window: int
) -> torch.Tensor:
    length = query.shape[2]
    if not window or length <= window:
        return scaled_dot_product_attention(query, key, value, dropout_p=dropout, is_causal=True, scale=scale)
    distance = torch.arange(length, device=query.device)[:, None] - torch.arange(length, device=query.device)
    near = (distance >= 0) & (distance < window)
    return scaled_dot_product_attention(query, key, value, attn_mask=near, dropout_p=dropout, scale=scale)


def _in_one_call(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    lengths: Sequence[int],
    scale: float | None,
    window: int,
) -> torch.Tensor:
    from torch.nn.attention.varlen import varlen_attn

    takes = _arguments()
    groups = query.shape[1] // key.shape[1]
    given: dict[str, Any] = {"scale": scale}
    if groups > 1 and "enable_gqa" in takes:
        given["enable_gqa"] = True
    elif groups > 1:
        key, value = (part.repeat_interleave(groups, dim=1) for part in (key, value))
    if "window_size" in takes:
        given["window_size"] = (window - 1 if window else -1, 0)
    else:
        given["is_causal"] = True
    borders = torch.tensor([0, *lengths], dtype=torch.int32).cumsum(0, dtype=torch.int32).to(query.device)
    queries, keys, values = (part[0].transpose(0, 1) for part in (query, key, value))
    attend: Any = varlen_attn
    out: torch.Tensor = attend(queries, keys, values, borders, borders, max(lengths), max(lengths), **given)
    return out[None]
