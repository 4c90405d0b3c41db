"""A stand-in for the package flash-attn: what transformers calls of it, computed by torch, on a CPU too."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any

import pytest
import torch

HALF = (torch.bfloat16, torch.float16)


@dataclass
class Kernel:
    """``dtypes`` are those that it takes, as the real one takes halves alone. Every call is written down: the borders
    of the sequences (empty where they lie in rows), and the longest.
    """

    dtypes: tuple[torch.dtype, ...] = HALF
    borders: list[list[int]] = field(default_factory=list)
    longest: list[int] = field(default_factory=list)
    devices: set[str] = field(default_factory=set)

    def flash_attn_func(
        self,
        q: torch.Tensor,
        k: torch.Tensor,
        v: torch.Tensor,
        dropout_p: float = 0.0,
        softmax_scale: float | None = None,
        causal: bool = False,
        window_size: tuple[int, int] = (-1, -1),
        softcap: float = 0.0,
        alibi_slopes: Any = None,
        deterministic: bool = False,
        return_attn_probs: bool = False,
    ) -> torch.Tensor:
        """``[rows, tokens, heads, size]``."""
        self.borders.append([])
        self._check(q, k, v, dropout_p, softcap)
        return torch.stack([attend(*row, softmax_scale, causal, window_size) for row in zip(q, k, v, strict=True)])

    def flash_attn_varlen_func(
        self,
        q: torch.Tensor,
        k: torch.Tensor,
        v: torch.Tensor,
        cu_seqlens_q: torch.Tensor,
        cu_seqlens_k: torch.Tensor,
        max_seqlen_q: int,
        max_seqlen_k: int,
        dropout_p: float = 0.0,
        softmax_scale: float | None = None,
        causal: bool = False,
        window_size: tuple[int, int] = (-1, -1),
        softcap: float = 0.0,
        alibi_slopes: Any = None,
        deterministic: bool = False,
        return_attn_probs: bool = False,
        block_table: Any = None,
    ) -> torch.Tensor:
        """``[tokens, heads, size]``: sequence i is ``[cu_seqlens[i], cu_seqlens[i + 1])``."""
        assert cu_seqlens_q.dtype == cu_seqlens_k.dtype == torch.int32
        ends_q, ends_k = cu_seqlens_q.tolist(), cu_seqlens_k.tolist()
        assert (ends_q[0], ends_q[-1], ends_k[-1]) == (0, len(q), len(k))
        self.borders.append(ends_q)
        self.longest.append(int(max_seqlen_q))
        self._check(q, k, v, dropout_p, softcap)
        parts = zip(ends_q[:-1], ends_q[1:], ends_k[:-1], ends_k[1:], strict=True)
        return torch.cat([attend(q[a:b], k[c:d], v[c:d], softmax_scale, causal, window_size) for a, b, c, d in parts])

    def _check(self, q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, dropout: float, softcap: float) -> None:
        if not (q.dtype == k.dtype == v.dtype and q.dtype in self.dtypes):
            raise RuntimeError(
                f"FlashAttention only support fp16 and bf16 data type, not {q.dtype}, {k.dtype}, {v.dtype}"
            )
        assert q.shape[-1] <= 256
        assert (dropout, softcap) == (0.0, 0.0)
        self.devices.add(q.device.type)


def attend(
    q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, scale: float | None, causal: bool, window: tuple[int, int]
) -> torch.Tensor:
    """One sequence, ``[tokens, heads, size]``. Queries are the last of the keys; a window counts to both sides, and
    -1 is no end.
    """
    repeats = q.shape[1] // k.shape[1]
    k, v = k.repeat_interleave(repeats, 1), v.repeat_interleave(repeats, 1)
    ahead = torch.arange(len(k))[None] - (torch.arange(len(q))[:, None] + len(k) - len(q))
    seen = torch.ones_like(ahead, dtype=torch.bool)
    if causal:
        seen &= ahead <= 0
    if window[0] >= 0:
        seen &= ahead >= -window[0]
    if window[1] >= 0:
        seen &= ahead <= window[1]
    q, k, v = (part.transpose(0, 1) for part in (q, k, v))
    out = torch.nn.functional.scaled_dot_product_attention(q, k, v, attn_mask=seen, scale=scale)
    return out.transpose(0, 1)


def put_in_place(monkeypatch: pytest.MonkeyPatch, kernel: Kernel, version: int = 2) -> None:
    """As if the package were installed and a GPU there: the rest is transformers' own code, up to the kernel."""
    from transformers import modeling_flash_attention_utils as flash
    from transformers.models.falcon import modeling_falcon

    package, padding = ModuleType({2: "flash_attn", 3: "flash_attn_interface"}[version]), ModuleType("bert_padding")
    functions = {"flash_attn_func": kernel.flash_attn_func, "flash_attn_varlen_func": kernel.flash_attn_varlen_func}
    vars(package).update(functions if version == 2 else {n: without_dropout(f) for n, f in functions.items()})
    vars(package).update(flash_attn_with_kvcache=_never, __path__=[])
    vars(padding).update(pad_input=flash._pad_input, unpad_input=flash._unpad_input)
    monkeypatch.setitem(sys.modules, package.__name__, package)
    monkeypatch.setitem(sys.modules, "flash_attn.bert_padding", padding)
    pretend(monkeypatch, version, available=True)
    for name in vars(flash).copy():  # what transformers imports once for all
        if name == "_loaded_implementation" or (
            name.startswith(("_flash", "_pad", "_unpad", "_process")) and (name.endswith("_fn"))
        ):
            monkeypatch.setattr(flash, name, None)
    # imported there only where the package is found
    monkeypatch.setattr(modeling_falcon, "_flash_attention_forward", flash._flash_attention_forward, raising=False)


def without_dropout(function: Callable[..., torch.Tensor]) -> Callable[..., torch.Tensor]:
    """A function of the third release, which knows no dropout."""
    known = inspect.signature(function)
    fewer = known.replace(parameters=[p for p in known.parameters.values() if p.name != "dropout_p"])

    def third(*arguments: Any, **named: Any) -> torch.Tensor:
        fewer.bind(*arguments, **named)
        return function(*arguments, **named)

    third.__signature__ = fewer  # type: ignore[attr-defined]
    return third


def pretend(monkeypatch: pytest.MonkeyPatch, version: int, available: bool) -> None:
    """What transformers finds of FlashAttention of a version."""
    from transformers import modeling_flash_attention_utils as flash
    from transformers import utils

    def found(kernels_fallback_ok: bool = False) -> bool:
        return available

    name = f"is_flash_attn_{version}_available"
    monkeypatch.setattr(utils, name, found)
    monkeypatch.setattr(flash, name, found)
    monkeypatch.setitem(flash.FLASH_ATTENTION_COMPATIBILITY_MATRIX[version], "general_availability_check", found)


def _never(*arguments: Any, **named: Any) -> Any:
    raise AssertionError("the paged kernel is for serving")


def registered(monkeypatch: pytest.MonkeyPatch, *specs: Any) -> None:
    """Plugins of a test's own, beside the others."""
    from graftlm_registry import plugins
    from graftlm_registry.discovery import Plugin

    found: Callable[[], Any] = plugins.discover
    monkeypatch.setattr(plugins, "discover", lambda: [*found(), Plugin("own", "tests", "1", specs)])
    plugins.registry.cache_clear()
