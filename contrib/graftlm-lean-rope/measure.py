"""Processor time of a forward and backward pass with and without ``lean-rope``, in turns: ``python measure.py``."""

from __future__ import annotations

import statistics
import time
from contextlib import nullcontext
from types import SimpleNamespace

import torch
from graftlm_registry.models import catalogue
from peft import LoraConfig, get_peft_model
from transformers import AutoModelForCausalLM
from transformers.models.mistral.modeling_mistral import apply_rotary_pos_emb

from graftlm_lean_rope.rotation import LeanRope, rotate

LAYERS = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
STEPS = (("tiny-mistral", torch.float32, (8, 128)), ("small-qwen", torch.float32, (4, 512)),
         ("small-qwen", torch.bfloat16, (4, 512)))  # fmt: skip
HEADS = (16, 8, 2048, 64)
"""Of queries, of keys, tokens, size of a head."""


def told(what: str, times: dict[str, list[float]]) -> None:
    shares = [lean / plain for plain, lean in zip(times["plain"], times["lean"], strict=True)]
    plain, lean = (1000 * statistics.median(times[name]) for name in ("plain", "lean"))
    print(f"{what}: {plain:.1f} ms, {lean:.1f} ms; share {statistics.median(shares):.3f} "
          f"({min(shares):.3f} to {max(shares):.3f} in {len(shares)} rounds)")  # fmt: skip


def rotations(dtype: torch.dtype, rounds: int = 15) -> None:
    queries, keys, tokens, size = HEADS
    q, k = (torch.randn(1, tokens, heads, size, dtype=dtype).transpose(1, 2) for heads in (queries, keys))
    cos, sin = (torch.randn(1, tokens, size, dtype=dtype) for _ in range(2))
    times: dict[str, list[float]] = {"plain": [], "lean": []}
    for _ in range(rounds):
        for name, turn in (("plain", apply_rotary_pos_emb), ("lean", rotate)):
            given = q.detach().requires_grad_(), k.detach().requires_grad_()
            began = time.thread_time()
            torch.autograd.backward(turn(*given, cos, sin), (q, k))
            times[name].append(time.thread_time() - began)
    told(f"one rotation, {dtype}", times)


def steps(reference: str, dtype: torch.dtype, shape: tuple[int, int], rounds: int = 10) -> None:
    base = AutoModelForCausalLM.from_pretrained(catalogue().entry(reference).folder, dtype=dtype)
    model = get_peft_model(base, LoraConfig(task_type="CAUSAL_LM", r=16, target_modules=LAYERS)).train()
    ids = torch.randint(5, 200, shape, generator=torch.Generator().manual_seed(0))
    times: dict[str, list[float]] = {"plain": [], "lean": []}
    for turn in range(rounds + 1):
        for name in ("plain", "lean") if turn % 2 else ("lean", "plain"):
            patch = LeanRope(SimpleNamespace(model=model, happened={})) if name == "lean" else nullcontext()
            with patch:
                model.zero_grad()
                began = time.thread_time()
                model(input_ids=ids, labels=ids, use_cache=False).loss.backward()
                times[name] += [time.thread_time() - began] * bool(turn)  # the first round warms up
    told(f"{reference}, {dtype}, {shape[0]} samples of {shape[1]} tokens", times)


if __name__ == "__main__":
    torch.set_num_threads(1)
    for dtype in (torch.float32, torch.bfloat16):
        rotations(dtype)
    for step in STEPS:
        steps(*step)
