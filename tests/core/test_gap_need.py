"""Which rows of a pool would address a gap."""

from __future__ import annotations

import random
from collections import Counter

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from graftlm.judging.gaps.need import Known, class_rates, most_needed
from graftlm.judging.gaps.vectors import LONGEST, WIDTH, vectors

SUBJECTS = {
    "law": ("judge", "lawyer", "court", "verdict", "statute"),
    "chess": ("bishop", "rook", "pawn", "checkmate", "opening"),
    "baking": ("flour", "dough", "oven", "yeast", "pastry"),
}
FRAMES = ("tell me about the {}", "where is the {}", "i asked about the {}", "nobody found the {}", "the {} is old")


def rows(count: int, seed: int = 0, subjects: tuple[str, ...] = tuple(SUBJECTS)) -> list[tuple[str, str]]:
    draw = random.Random(seed)
    chosen = [draw.choice(subjects) for _ in range(count)]
    return [(draw.choice(FRAMES).format(draw.choice(SUBJECTS[label])), label) for label in chosen]


def known(fails: str, labelled: bool) -> list[Known]:
    return [
        Known(words=words, label=label if labelled else "", wrong=label == fails)
        for words, label in dict(zip(*zip(*rows(60, 7)))).items()  # noqa: B905
    ]


def test_rows_of_the_class_that_fails_come_first() -> None:
    pool = rows(200)
    found = most_needed(pool, known("law", labelled=True), 20)
    assert {pool[row.row][1] for row in found} == {"law"}
    assert all(row.of_class is not None and row.of_class > 0.9 and 0 < row.need <= 1 for row in found)


def test_without_classes_likeness_alone_finds_them() -> None:
    """A random choice would have a third of them."""
    pool = rows(200)
    found = most_needed([(words, "") for words, _ in pool], known("law", labelled=False), 20)
    assert Counter(pool[row.row][1] for row in found)["law"] >= 18
    assert all(row.of_class is None and row.need == row.around for row in found)
    assert {known("law", labelled=False)[row.like].wrong for row in found[:5]} == {True}


def test_near_copies_come_last() -> None:
    copies = [(f"tell me about the judge number {n}", "law") for n in range(50)]
    others = [(frame.format(word), "law") for word in SUBJECTS["law"][1:] for frame in FRAMES[:2]]
    found = most_needed(copies + others, known("law", labelled=True), len(others) + 2)
    assert sum(row.row < len(copies) for row in found) <= 4


def test_failing_classes_share_by_their_failures_and_others_wait() -> None:
    said = [Known(words=f"{label} {n}", label=label, wrong=n < wrong)
            for label, n_rows, wrong in (("a", 20, 16), ("b", 20, 8), ("c", 20, 0)) for n in range(n_rows)]  # fmt: skip
    pool = [(f"{label} row {n}", label) for n in range(60) for label in "abc"]
    counts = Counter(pool[row.row][1] for row in most_needed(pool, said, 30))
    assert counts["c"] == 0
    assert 18 <= counts["a"] <= 22
    all_of_two = Counter(pool[row.row][1] for row in most_needed(pool, said, 150))
    assert all_of_two == {"a": 60, "b": 60, "c": 30}


def test_a_class_that_nothing_is_known_of_counts_as_the_rest() -> None:
    said = [Known(words=f"row {n}", label="ab"[n % 2], wrong=n % 2 == 0) for n in range(20)]
    rates, sizes = class_rates(said, 0.5)
    assert (sizes, rates["a"] > 0.9, rates["b"] < 0.1) == ({"a": 10, "b": 10}, True, True)
    found = most_needed([("something", "new"), ("else", "b")], said, 2)
    assert [(row.row, row.of_class) for row in found] == [(0, 0.5), (1, rates["b"])]


@settings(max_examples=25, deadline=None)
@given(st.lists(st.tuples(st.text(max_size=20), st.sampled_from(["", "a", "b"])), max_size=30), st.integers(1, 40))
def test_any_pool_gives_as_many_rows_as_it_can_and_each_once(pool: list[tuple[str, str]], count: int) -> None:
    said = [Known(words="yes 1", label="a", wrong=True), Known(words="no 2", label="b", wrong=False)]
    found = most_needed(pool, said, count)
    assert len({row.row for row in found}) == len(found) == min(count, len(pool))
    assert all(0 <= row.need <= 1 for row in found)
    assert most_needed(pool, said, count) == found


def test_nothing_wrong_needs_nothing_and_breaks_nothing() -> None:
    found = most_needed(rows(10), known("", labelled=True), 5)
    assert {row.need for row in found} == {0.0}
    assert most_needed([], known("law", labelled=True), 5) == ()


def test_vectors_tell_what_is_alike() -> None:
    texts = [
        "where is the bishop",
        "nobody found the bishop",
        "where is the flour",
        "",
        "棋盘上的象",
        "我喜欢棋盘上的象",
    ]
    found, more = vectors(texts, ["where is the bishop", "y" * (3 * LONGEST)])
    assert found.shape == (6, WIDTH)
    assert found[0] @ more[0] > 0.999
    assert found[0] @ found[1] > found[1] @ found[2]
    assert found[4] @ found[5] > 0.3
    assert not found[3].any() or abs(found[3] @ found[0]) < 0.5
    assert np.isfinite(found).all()


def test_likeness_by_folding_is_near_to_what_it_would_be_without() -> None:
    """Against TF-IDF over a whole vocabulary, computed plainly."""
    from math import log, sqrt

    texts = [words for words, _ in rows(60, 3)]
    grams = [Counter(f" {t} "[i : i + n] for n in (2, 3, 5) for i in range(len(t) + 3 - n)) for t in texts]
    df = Counter(gram for each in grams for gram in each)
    dense = np.array([[(1 + log(c[g])) * sqrt(log(61 / (1 + df[g]))) if c[g] else 0.0 for g in df] for c in grams])
    dense /= np.linalg.norm(dense, axis=1, keepdims=True)
    found, _ = vectors(texts)
    difference = np.abs(found @ found.T - dense @ dense.T)
    assert difference.mean() < 0.05
    assert difference.max() < 0.3
