"""The data that comes with graftlm: new capabilities for the built-in models."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from graftlm.contracts.errors import DataError

from .suggestions import unknown


@dataclass(frozen=True, slots=True)
class DemoData:
    """Files of a capability. ``question`` is what is asked of each row, ``example`` a row that stands in no file."""

    train: Path
    validation: Path
    test: Path
    question: str
    example: str
    steps: int


QUESTIONS = {
    "sentiment": ("Is this review positive or negative?", "I must say the train was dreadful.", 200),
    "subjects": ("Which subject is this about?", "Please bring me the spade.", 400),
}
"""Question, an unseen sentence, and optimizer steps of 16 samples that are enough."""


def demo_data(skill: str) -> DemoData:
    """Raises ``DataError`` with the names of what is there."""
    if skill not in QUESTIONS:
        raise DataError(unknown("skill", skill, QUESTIONS))
    folder = Path(str(files("graftlm_registry"))) / "demo_data" / skill
    question, example, steps = QUESTIONS[skill]
    train, validation, test = (folder / f"{name}.jsonl" for name in ("train", "validation", "test"))
    return DemoData(train, validation, test, question, f"{question}\n{example}", steps)
