"""Tasks of which it is known what a user should do: ``python -m pretraining.judgement_data``.

``shift``: a few examples in the prompt are enough. ``sums``: working it out in steps is enough. ``facts``: knowledge
that no model has; ``facts-retrieved``: the same with the fact in the prompt; ``facts-in-the-prompt``: with two others
beside it, among which the tiny models do not learn to choose. ``subjects-gap``: training rows that lack most of what
eight of twenty classes need, and a pool that has it, among much that is not needed.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random

from pretraining import datasets, skills

ROOT = Path(__file__).resolve().parent.parent / "benchmarks" / "judgement" / "data"
SEED = 12
SPLITS = ("train", "validation", "test")
FACTS = (300, 60, 60)
LOOKED_UP = (1200, 60, 60)
FACTS_IN_A_PROMPT = 3
COVERED = 12
COVERED_ROWS, THIN_ROWS = 10, 1
POOL_COVERED, POOL_THIN = 20, 15
"""Rows of each class in the pool: two thirds of it is of classes that are covered already."""

Row = dict[str, str]
Pair = tuple[str, str]
"""A question and its answer, or a key and its code."""


def split(rng: Random, draw: Callable[[Random], Pair], sizes: tuple[int, ...]) -> Iterator[tuple[str, list[Row]]]:
    """Questions that are drawn, each once over all the splits, with their answers."""
    asked = dict[str, str]()
    while len(asked) < sum(sizes):
        question, answer = draw(rng)
        asked[question] = answer
    rows = [{"input": question, "output": answer} for question, answer in asked.items()]
    for name, size in zip(SPLITS, sizes, strict=True):
        yield name, rows[:size]
        rows = rows[size:]


def shifted(rng: Random) -> Pair:
    """The bare word, as in the pre-training's episodes: nothing says what to do with it."""
    word = skills.letters(rng, 3, 4)
    return word, skills.shift(word)


def added(rng: Random) -> Pair:
    a, b, c = (rng.randint(0, 9) for _ in range(3))
    return f"What is\n{a}+{b}+{c}", str(a + b + c)


def known() -> dict[str, list[Pair]]:
    """The facts of each split, then those that are only ever beside them (``more``); no word is in two of them."""
    beside = LOOKED_UP[0] * FACTS_IN_A_PROMPT - FACTS[0]
    sizes = dict(zip((*SPLITS, "more"), (*FACTS, beside), strict=True))
    rng, words = Random(f"{SEED}-facts"), dict[str, None]()
    while len(words) < 2 * sum(sizes.values()):
        words[skills.letters(rng, 4, 4)] = None
    drawn = iter(words)
    return {name: [(next(drawn), next(drawn)) for _ in range(size)] for name, size in sizes.items()}


def asked_of(key: str) -> str:
    return f"What is the code of {key}?"


def looked_up(rng: Random, asked: list[Pair], beside: list[list[Pair]]) -> list[Row]:
    """Each fact asked once, at a random place among those beside it."""
    rows = list[Row]()
    for fact, others in zip(asked, beside, strict=True):
        shown = [*others, fact]
        rng.shuffle(shown)
        told = " ".join(f"The code of {key} is {code}." for key, code in shown)
        rows.append({"input": f"{told} {asked_of(fact[0])}", "output": fact[1]})
    return rows


def facts() -> Iterator[tuple[str, list[Row]]]:
    """Files of the three tasks. In training every fact stands in one prompt only, so that none is learned by heart."""
    facts_of, rng, others = known(), Random(f"{SEED}-looked-up"), FACTS_IN_A_PROMPT - 1
    for name in SPLITS:
        yield f"facts/{name}", [{"input": asked_of(key), "output": code} for key, code in facts_of[name]]
    more = facts_of["more"]
    asked = [*facts_of["train"], *more[: LOOKED_UP[0] - FACTS[0]]]
    rest = more[LOOKED_UP[0] - FACTS[0] :]
    beside = [rest[i : i + others] for i in range(0, len(rest), others)]
    rows = looked_up(rng, asked, beside)
    rng.shuffle(rows)
    yield "facts-in-the-prompt/train", rows
    yield "facts-retrieved/train", looked_up(rng, asked, [[]] * len(asked))
    for name in ("validation", "test"):
        own = facts_of[name]
        beside = [rng.sample([fact for fact in own if fact != this], others) for this in own]
        yield f"facts-in-the-prompt/{name}", looked_up(rng, own, beside)
        yield f"facts-retrieved/{name}", looked_up(rng, own, [[]] * len(own))


def gap() -> Iterator[tuple[str, list[Row]]]:
    """From the demo's subjects: a few classes' rows are nearly all in the pool."""
    folder, rng = datasets.ROOT / "demo_data" / "subjects", Random(f"{SEED}-subjects-gap")
    rows_of = {
        name: [json.loads(line) for line in (folder / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()]
        for name in SPLITS
    }
    by_class = dict[str, list[Row]]()
    for row in rows_of["train"]:
        by_class.setdefault(row["output"], []).append(row)
    train, pool = list[Row](), list[Row]()
    for number, name in enumerate(sorted(by_class)):
        taken, left = (COVERED_ROWS, POOL_COVERED) if number < COVERED else (THIN_ROWS, POOL_THIN)
        train += by_class[name][:taken]
        pool += by_class[name][taken : taken + left]
    rng.shuffle(train)
    rng.shuffle(pool)
    for name, rows in (("train", train), ("pool", pool), *((name, rows_of[name]) for name in SPLITS[1:])):
        yield f"subjects-gap/{name}", rows


def files() -> Iterator[tuple[Path, str]]:
    """Every file that is made here, with its content."""
    for task, draw, sizes in (("shift", shifted, (120, 60, 60)), ("sums", added, (200, 60, 60))):
        for name, rows in split(Random(f"{SEED}-{task}"), draw, sizes):
            yield ROOT / task / f"{name}.jsonl", datasets.lines(rows)
    for name, rows in (*facts(), *gap()):
        yield ROOT / f"{name}.jsonl", datasets.lines(rows)


if __name__ == "__main__":
    datasets.write(files())
