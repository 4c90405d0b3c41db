"""Answers to many prompts, batched by length."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch

from graftlm.contracts.serving import Sampling
from graftlm.encoding.tokenizing import SpanTokenizer

GREEDY = Sampling()
BATCH = 64
BATCH_TOKENS = 32_768
"""Prompt and answer tokens of a batch, at most: what its cache holds."""


@dataclass(frozen=True, slots=True)
class Generated:
    """``ids`` without the stop token; ``ended``: it came, before the tokens ran out. ``fits``: the model has positions
    for the prompt and a token more.
    """

    ids: list[int]
    ended: bool
    fits: bool = True


@contextmanager
def inference(model: Any) -> Iterator[None]:
    """Evaluation mode without gradients, the mode put back afterwards."""
    was_training = model.training
    model.eval()
    try:
        with torch.inference_mode():
            yield
    finally:
        model.train(was_training)


def stop_ids(tokenizer: SpanTokenizer, stop_tokens: Sequence[str]) -> list[int]:
    """Ids of the stop tokens that this tokenizer has."""
    return [tokenizer.control_id(token) for token in stop_tokens if tokenizer.has(token)]


def positions(model: Any) -> int:
    """The longest text that the model can read, in tokens. A dynamic RoPE stretches what the configuration says."""
    rope = getattr(model.config, "rope_parameters", None) or {}
    stretched = rope["factor"] if rope.get("rope_type") == "dynamic" else 1
    return int((getattr(model.config, "max_position_embeddings", None) or sys.maxsize) * stretched)


def greedy(
    model: Any,
    prompts: Sequence[Sequence[int]],
    stops: Sequence[int],
    max_new_tokens: int,
    device: str,
    checkpoint: Callable[[], None],
) -> list[list[int]]:
    """Ids of each answer, without the stop token, in the order of the prompts."""
    found: dict[int, Generated] = {}
    for batch in greedy_batches(model, dict(enumerate(prompts)), stops, max_new_tokens, device, checkpoint):
        found |= batch
    return [found[i].ids for i in range(len(prompts))]


def greedy_batches(
    model: Any,
    prompts: Mapping[int, Sequence[int]],
    stops: Sequence[int],
    max_new_tokens: int,
    device: str,
    checkpoint: Callable[[], None],
) -> Iterator[dict[int, Generated]]:
    """Answers by the number of their prompt, a batch at a time, the shortest prompts first. Batches are left-padded.

    A prompt that fills the model's positions has an empty answer, which did not end.
    """
    room = positions(model)
    if too_long := [i for i, prompt in prompts.items() if len(prompt) >= room]:
        yield {i: Generated([], ended=False, fits=False) for i in too_long}
    for chosen in batches({i: len(p) for i, p in prompts.items() if len(p) < room}, max_new_tokens):
        checkpoint()
        answers = one_batch(model, [prompts[i] for i in chosen], stops, max_new_tokens, device)
        yield dict(zip(chosen, answers, strict=True))


def one_batch(
    model: Any,
    prompts: Sequence[Sequence[int]],
    stops: Sequence[int],
    max_new_tokens: int,
    device: str,
    sampling: Sampling = GREEDY,
    **more: Any,
) -> list[Generated]:
    """Answers to prompts that the model has positions for, left-padded. ``more`` goes to transformers."""
    width = max(map(len, prompts))
    ids = torch.tensor([[stops[0]] * (width - len(prompt)) + list(prompt) for prompt in prompts])
    mask = torch.tensor([[0] * (width - len(prompt)) + [1] * len(prompt) for prompt in prompts])
    with inference(model):
        out = model.generate(
            input_ids=ids.to(device),
            attention_mask=mask.to(device),
            max_new_tokens=min(max_new_tokens, positions(model) - width),
            eos_token_id=list(stops),
            pad_token_id=stops[0],
            **_choosing(sampling),
            **more,
        )
    return [_until_stop(row, stops) for row in out[:, width:].tolist()]


def _choosing(sampling: Sampling) -> dict[str, Any]:
    """How transformers chooses a token. Its own default would look at the 50 likeliest only."""
    if not sampling.temperature:
        return {"do_sample": False, "temperature": None, "top_p": None, "top_k": None}
    torch.manual_seed(sampling.seed)
    return {"do_sample": True, "temperature": sampling.temperature, "top_p": sampling.top_p, "top_k": 0}


def batches(lengths: Mapping[int, int], max_new_tokens: int) -> Iterator[list[int]]:
    """Prompts of like length together, as many as ``BATCH`` and ``BATCH_TOKENS`` allow."""
    batch: list[int] = []
    for i in sorted(lengths, key=lambda i: lengths[i]):
        if batch and (len(batch) == BATCH or (lengths[i] + max_new_tokens) * (len(batch) + 1) > BATCH_TOKENS):
            yield batch
            batch = []
        batch.append(i)
    if batch:
        yield batch


def _until_stop(row: list[int], stops: Sequence[int]) -> Generated:
    end = next((n for n, token in enumerate(row) if token in stops), len(row))
    return Generated(row[:end], ended=end < len(row))
