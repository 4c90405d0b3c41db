"""Greedy answers to many prompts, batched by length."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch

from graftlm.encoding.tokenizing import SpanTokenizer

BATCH = 64


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
    """Ids of each answer, without the stop token, in the order of the prompts. Batches are left-padded.

    A prompt that fills the model's positions has an empty answer.
    """
    room = positions(model)
    order = sorted((i for i in range(len(prompts)) if len(prompts[i]) < room), key=lambda i: len(prompts[i]))
    answers: list[list[int]] = [[] for _ in prompts]
    with inference(model):
        for start in range(0, len(order), BATCH):
            checkpoint()
            chosen = order[start : start + BATCH]
            width = max(len(prompts[i]) for i in chosen)
            ids = torch.tensor([[stops[0]] * (width - len(prompts[i])) + list(prompts[i]) for i in chosen])
            mask = torch.tensor([[0] * (width - len(prompts[i])) + [1] * len(prompts[i]) for i in chosen])
            out = model.generate(
                input_ids=ids.to(device),
                attention_mask=mask.to(device),
                max_new_tokens=max_new_tokens,
                do_sample=False,
                temperature=None,
                top_p=None,
                top_k=None,
                eos_token_id=list(stops),
                pad_token_id=stops[0],
            )
            for i, row in zip(chosen, out[:, width:].tolist(), strict=True):
                answers[i] = row[: next((n for n, token in enumerate(row) if token in stops), len(row))]
    return answers
