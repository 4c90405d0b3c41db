"""Texts as vectors, so that likeness is a product: TF-IDF of character n-grams, folded into a fixed width.

An n-gram's hash gives its column and its sign (feature hashing: two that meet in a column cancel as often as they add),
so that no vocabulary is kept and 100,000 rows take 200 MB. Everything is arithmetic on whole arrays.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from numpy.typing import NDArray

LENGTHS = (2, 3, 5)
"""Characters of an n-gram: pairs serve scripts without spaces, fives are nearly words."""
WIDTH = 512
BITS = 41
"""Of an n-gram's hash: 20 say where it is counted, 9 its column, one its sign."""
COUNTED = 1 << 20
"""Places of the table that counts in how many rows an n-gram stands."""
LONGEST = 2000
"""Characters of a text that count: half of them its first, half its last."""
CHUNK = 1 << 20
"""Characters that are looked at together."""


def vectors(texts: Sequence[str], more: Sequence[str] = ()) -> tuple[NDArray[Any], NDArray[Any]]:
    """Vectors of length 1 (``float32[rows, WIDTH]``) of both, weighed by how rare n-grams are in both together: what
    stands in every text weighs nothing. A text without anything else has the vector 0.
    """
    import numpy as np

    everything = [_cut(text) for text in (*texts, *more)]
    rows_with = np.zeros(COUNTED, dtype=np.int64)
    for _, _, grams, _ in _counted(everything):
        rows_with += np.bincount(grams % COUNTED, minlength=COUNTED)
    rarity = np.log((1 + len(everything)) / (1 + np.minimum(rows_with, len(everything))))
    weight = np.sqrt(rarity)  # so that it counts once in a product: near copies that differ by a number stay alike
    out = np.zeros((len(everything), WIDTH), dtype=np.float32)
    for first, rows, grams, counts in _counted(everything):
        values = (1 + np.log(counts)) * weight[grams % COUNTED] * np.where(grams >> 40 & 1, 1.0, -1.0)
        count = int(rows.max()) + 1 if len(rows) else 0
        folded = np.bincount(rows * WIDTH + (grams >> 20) % WIDTH, weights=values, minlength=count * WIDTH)
        out[first : first + count] = folded.reshape(count, WIDTH)
    out /= np.maximum(np.linalg.norm(out, axis=1, keepdims=True), 1e-12)
    return out[: len(texts)], out[len(texts) :]


def _cut(text: str) -> str:
    """A space at each end marks where words begin and end."""
    if len(text) > LONGEST:
        text = f"{text[: LONGEST // 2]} {text[-LONGEST // 2 :]}"
    return f" {text} "


def _counted(texts: Sequence[str]) -> Iterator[tuple[int, NDArray[Any], NDArray[Any], NDArray[Any]]]:
    """For each chunk of texts the number of the first, and of each n-gram of each text: the text's number in the chunk,
    the hash, and how often it stands there.
    """
    import numpy as np

    first = 0
    while first < len(texts):
        end, size = first, 0
        while end < len(texts) and (size == 0 or size + len(texts[end]) <= CHUNK):
            size += len(texts[end])
            end += 1
        chunk = texts[first:end]
        letters = np.frombuffer("".join(chunk).encode("utf-32-le", "surrogatepass"), dtype=np.uint32).astype(np.uint64)
        row = np.repeat(np.arange(len(chunk)), [len(text) for text in chunk])
        keys = [
            row[: len(hashes)][whole] << BITS | (hashes[whole] >> np.uint64(64 - BITS)).astype(np.int64)
            for length in LENGTHS
            if len(letters) >= length
            for hashes, whole in [(_hashes(letters, length), row[: len(row) - length + 1] == row[length - 1 :])]
        ]
        found, counts = np.unique(np.concatenate(keys) if keys else np.zeros(0, np.int64), return_counts=True)
        yield first, found >> BITS, found & ((1 << BITS) - 1), counts
        first = end


def _hashes(letters: NDArray[Any], length: int) -> NDArray[Any]:
    """64 bits of each n-gram, mixed so that all of them depend on every letter."""
    import numpy as np

    count = len(letters) - length + 1
    found = np.full(count, length, dtype=np.uint64)
    for i in range(length):
        found = (found ^ letters[i : i + count]) * np.uint64(0x9E3779B97F4A7C15)
        found ^= found >> np.uint64(29)
    found *= np.uint64(0xBF58476D1CE4E5B9)
    return found ^ found >> np.uint64(32)
