"""Optimizer steps of about as many tokens each: how many there are is known before anything runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class TokenSteps:
    """``count`` steps take ``samples``, counted in every pass; the ``largest`` step has so many of them."""

    count: int
    samples: int
    largest: int


def token_steps(lengths: Sequence[int], tokens: int, seed: int, *, epochs: float, most: int | None) -> TokenSteps:
    """``most`` steps, or those that see each of the samples ``epochs`` times; ``lengths`` are theirs."""
    from graftlm.encoding.order import steps

    count = samples = largest = 0
    for step in steps(lengths, seed=seed, batch_size=0, tokens_per_step=tokens):
        count += 1
        samples += len(step)
        largest = max(largest, len(step))
        if count == most or (most is None and samples >= len(lengths) * epochs):
            break
    return TokenSteps(count, samples, largest)
