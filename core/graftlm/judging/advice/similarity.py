"""How alike texts are: the cosine of what they share of characters, rare ones weighing more."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from graftlm.data.splitting import folded

if TYPE_CHECKING:
    from numpy.typing import NDArray

LONGEST = 2000
"""Characters of a text that are looked at: its last ones, where a question usually stands."""
SIZES = (1, 2, 3)


def cosines(asked: Sequence[str], known: Sequence[str], sizes: Sequence[int] = SIZES) -> NDArray[Any]:
    """``float64[asked, known]`` in [0, 1]: TF-IDF of character n-grams, with the document frequencies of ``known``.

    An n-gram that every known text has (the words of a task's instruction) weighs nothing.
    """
    import numpy as np

    counted = [_grams(text, sizes) for text in known]
    frequency = Counter(gram for grams in counted for gram in grams)
    weight = {gram: math.log((1 + len(known)) / (1 + count)) for gram, count in frequency.items()}
    postings: dict[str, tuple[list[int], list[float]]] = {}
    for place, grams in enumerate(counted):
        for gram, value in _weighted(grams, weight).items():
            rows, values = postings.setdefault(gram, ([], []))
            rows.append(place)
            values.append(value)
    index = {gram: (np.array(rows), np.array(values)) for gram, (rows, values) in postings.items()}
    found = np.zeros((len(asked), len(known)))
    for line, text in zip(found, asked, strict=True):
        for gram, value in _weighted(_grams(text, sizes), weight).items():
            if gram in index:
                places, weights = index[gram]
                line[places] += value * weights
    return found


def _grams(text: str, sizes: Sequence[int]) -> Counter[str]:
    words = folded(text[-LONGEST:])
    return Counter(words[i : i + size] for size in sizes for i in range(len(words) - size + 1))


def _weighted(grams: Counter[str], weight: dict[str, float]) -> dict[str, float]:
    """Of length one."""
    values = {gram: (1 + math.log(count)) * weight.get(gram, 0.0) for gram, count in grams.items()}
    length = math.sqrt(sum(value * value for value in values.values()))
    return {gram: value / length for gram, value in values.items() if value} if length else {}
