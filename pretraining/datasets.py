"""Writes what comes with the built-in models: ``python -m pretraining.datasets``.

``skills/NAME.jsonl``: questions that score an old skill. ``demo_data/NAME/{train,validation,test}.jsonl``: a new capability,
classes balanced; the test's wordings (sentence frames) stand in no training or validation row.
``demo_data/old-skills/train.jsonl``: the old skills asked again, to be mixed into a training on something new.
``retention/small-world.jsonl``: unseen text like that of the pre-training, to see what a training made one forget.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from random import Random

from pretraining import sentences, skills

ROOT = Path(__file__).resolve().parent.parent / "registry" / "graftlm_registry"
SUITE_ROWS = 50
REPLAY_ROWS = 80
DOCUMENTS, PARAGRAPHS = 48, 2
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


def lines(rows: Iterable[Mapping[str, object]]) -> str:
    return "".join(json.dumps(row) + "\n" for row in rows)


def write(files: Iterable[tuple[Path, str]]) -> None:
    for path, content in files:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content, encoding="utf-8")


def suite(name: str) -> dict[str, str]:
    """Questions of one skill, each once, with their answers."""
    rng, asked = Random(f"{SEED}-{name}"), dict[str, str]()
    while len(asked) < SUITE_ROWS and (name != "capitals" or len(asked) < 2 * len(skills.CAPITALS)):
        question, answer = skills.SKILLS[name](rng)
        asked[question] = answer
    return asked


def suite_row(question: str, answer: str) -> dict[str, object]:
    """graftlm's own row."""
    turns = [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]
    return {"messages": turns, "source": ""}


def replay() -> list[dict[str, str]]:
    """Questions of the old skills, none of them in a suite."""
    rng, rows = Random(f"{SEED}-replay"), list[dict[str, str]]()
    for name, draw in skills.SKILLS.items():
        if name == "capitals":
            continue  # all of its 40 questions stand in its suite
        taken, asked = suite(name), dict[str, str]()
        while len(asked) < REPLAY_ROWS:
            question, answer = draw(rng)
            if question not in taken:
                asked[question] = answer
        rows += [{"instruction": q, "output": a, "capability": name} for q, a in asked.items()]
    rng.shuffle(rows)
    return rows


def small_world() -> list[dict[str, object]]:
    """Documents as graftlm's own rows. The seed is text, and that of no other draw."""
    rng = Random(f"{SEED}-small-world")
    texts = [sentences.text(rng, PARAGRAPHS) for _ in range(DOCUMENTS)]
    return [{"messages": [{"role": "document", "content": text}]} for text in texts]


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


def files() -> Iterator[tuple[Path, str]]:
    """Every file that is made here, with its content."""
    for name in skills.SKILLS:
        yield ROOT / "skills" / f"{name}.jsonl", lines(suite_row(*pair) for pair in suite(name).items())
    for name, draw, frames, held, sizes, classes in (
        ("sentiment", sentiment, sentences.OPENINGS, SENTIMENT_TEST_FRAMES, (400, 60, 60), 2),
        ("subjects", subjects, sentences.STORIES, SUBJECT_TEST_FRAMES, (600, 60, 100), 20),
    ):
        rng, taken = Random(f"{SEED}-{name}"), set[str]()
        seen = tuple(frame for frame in frames if frame not in held)
        for split, used, rows in zip(("train", "validation", "test"), (seen, seen, held), sizes, strict=True):
            found = distinct(rng, draw(rng, used), rows, classes, taken)
            yield ROOT / "demo_data" / name / f"{split}.jsonl", lines(found)
    yield ROOT / "demo_data" / "old-skills" / "train.jsonl", lines(replay())
    yield ROOT / "retention" / "small-world.jsonl", lines(small_world())


if __name__ == "__main__":
    write(files())
