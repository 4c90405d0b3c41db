"""Writes what comes with the built-in models: ``python -m pretraining.datasets``.

``skills/NAME.jsonl``: questions that score an old skill. ``demo_data/NAME/{train,validation,test}.jsonl``: a new capability,
classes balanced; the test's wordings (sentence frames) stand in no training or validation row.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from random import Random

from graftlm.data.rows import write_row
from pretraining import sentences, skills

ROOT = Path(__file__).resolve().parent.parent / "registry" / "graftlm_registry"
SUITE_ROWS = 50
SEED = 11

SENTIMENT_QUESTION = "Is this review positive or negative?"
SENTIMENT_TEST_FRAMES = (
    "Yesterday the {thing} was {word}", "In the end the {thing} turned out {word}", "Such a {word} and {other} {thing}",
    "What a {word} {thing}",
)  # fmt: skip
SUBJECT_QUESTION = "Which subject is this about?"
SUBJECT_TEST_FRAMES = (
    "They talked about the {a} all day",
    "Nobody could find the {a}",
    "The {a} and the {b} matter most",
)


def write(path: Path, rows: list[dict[str, str]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


def suite(name: str) -> str:
    """Questions of one skill, each once."""
    rng, lines = Random(f"{SEED}-{name}"), {}
    while len(lines) < SUITE_ROWS and (name != "capitals" or len(lines) < 2 * len(skills.CAPITALS)):
        conversation = skills.asked(skills.SKILLS[name], rng)
        lines[conversation.messages[0].content] = write_row(conversation)
    return "".join(lines.values())


def distinct(
    rng: Random, draw: Iterator[dict[str, str]], rows: int, classes: int, taken: set[str]
) -> list[dict[str, str]]:
    """Rows with inputs that were not taken yet, as many of each class."""
    found: dict[str, list[dict[str, str]]] = {}
    for row in draw:
        of_class = found.setdefault(row["output"], [])
        if row["input"] not in taken and len(of_class) < rows // classes:
            taken.add(row["input"])
            of_class.append(row)
        if sum(map(len, found.values())) == rows // classes * classes:
            break
    flat = [row for of_class in found.values() for row in of_class]
    rng.shuffle(flat)
    return flat


def sentiment(rng: Random, frames: tuple[str, ...]) -> Iterator[dict[str, str]]:
    while True:
        praise = rng.random() < 0.5
        word, other = rng.sample(sentences.PRAISE if praise else sentences.BLAME, 2)
        sentence = rng.choice(frames).format(thing=rng.choice(sentences.THINGS), word=word, other=other)
        answer = "positive" if praise else "negative"
        yield {"instruction": SENTIMENT_QUESTION, "input": f"{sentence[0].upper()}{sentence[1:]}.", "output": answer}


def subjects(rng: Random, frames: tuple[str, ...]) -> Iterator[dict[str, str]]:
    while True:
        subject = rng.choice(sorted(sentences.SUBJECTS))
        a, b = rng.sample(sentences.SUBJECTS[subject], 2)
        yield {"instruction": SUBJECT_QUESTION, "input": f"{rng.choice(frames).format(a=a, b=b)}.", "output": subject}


def main() -> None:
    for name in skills.SKILLS:
        path = ROOT / "skills" / f"{name}.jsonl"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(suite(name), encoding="utf-8")
    for name, draw, frames, held, sizes, classes in (
        ("sentiment", sentiment, sentences.OPENINGS, SENTIMENT_TEST_FRAMES, (400, 60, 60), 2),
        ("subjects", subjects, sentences.STORIES, SUBJECT_TEST_FRAMES, (600, 60, 100), 20),
    ):
        rng, taken = Random(f"{SEED}-{name}"), set[str]()
        seen = tuple(frame for frame in frames if frame not in held)
        for split, used, rows in zip(("train", "validation", "test"), (seen, seen, held), sizes, strict=True):
            write(ROOT / "demo_data" / name / f"{split}.jsonl", distinct(rng, draw(rng, used), rows, classes, taken))


if __name__ == "__main__":
    main()
