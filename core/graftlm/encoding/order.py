"""Which samples make which optimizer step: the plan counts them, and the worker trains on them, by this one rule."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import chain, count, islice

import numpy as np


def steps(lengths: Sequence[int], *, seed: int, batch_size: int, tokens_per_step: int = 0) -> Iterator[list[int]]:
    """The samples of one optimizer step after the other, without an end. ``lengths`` are those of all samples, in
    tokens, none of them 0. One shuffled pass over the data follows the other; each is cut into steps of ``batch_size``
    samples or, where that is 0, of so many that their tokens come nearest to ``tokens_per_step``, at least one.
    """
    passes = (np.random.default_rng([seed, i]).permutation(len(lengths)).tolist() for i in count())
    samples: Iterator[int] = chain.from_iterable(passes)
    if batch_size:
        return iter(lambda: list(islice(samples, batch_size)), [])
    return _by_tokens(samples, lengths, tokens_per_step)


def _by_tokens(samples: Iterator[int], lengths: Sequence[int], wanted: int) -> Iterator[list[int]]:
    step, tokens = [first := next(samples)], lengths[first]
    for sample in samples:
        length = lengths[sample]
        if abs(tokens + length - wanted) < abs(tokens - wanted):
            step.append(sample)
            tokens += length
        else:
            yield step
            step, tokens = [sample], length
