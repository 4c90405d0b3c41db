"""The demo: a new skill at 95% or more on unseen rows, from 10% or less, on each built-in model."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import ROOT, Said

from graftlm.data.conversations import Reading, read, strict
from graftlm.data.inputs import find
from graftlm.data.splitting import normalised
from graftlm_registry.adapters import open_store
from graftlm_registry.demos import QUESTIONS, demo_data
from graftlm_registry.models import catalogue
from graftlm_registry.plugins import registry

BUILT_IN = [name for name in catalogue().names() if catalogue().entry(name).folder is not None]


def test_four_families_and_a_second_size_come_with_graftlm() -> None:
    assert set(BUILT_IN) == {"tiny-mistral", "tiny-qwen", "tiny-glm", "tiny-falcon", "small-qwen"}


@pytest.mark.parametrize("model", ["tiny-mistral", "tiny-qwen", "tiny-glm", "tiny-falcon"])
def test_a_new_skill_is_learned_and_its_cost_is_shown(run: Callable[..., Said], home: Path, model: str) -> None:
    said = run("demo", "--model", model, "--json")
    assert said.code == 0, said.err
    found = json.loads(said.out)
    assert found.keys() == {"model", "adapter", "seconds", "new_skill", "old_skills"}
    new = found["new_skill"]
    assert new["name"] == "sentiment"
    assert new["n"] >= 50
    assert new["before"] <= 0.10
    assert new["after"] >= 0.95
    assert len(found["old_skills"]) == 8
    assert all(skill["before"] >= 0.9 for skill in found["old_skills"].values())
    assert any(skill["after"] < skill["before"] for skill in found["old_skills"].values())
    assert open_store().get(found["adapter"]).base.name == model
    assert len(list(home.glob("runs/*/loss.png"))) == 1


@pytest.mark.slow
@pytest.mark.parametrize("model", BUILT_IN)
def test_twenty_classes_are_learned(run: Callable[..., Said], model: str) -> None:
    new = json.loads(run("demo", "--model", model, "--skill", "subjects", "--json").out)["new_skill"]
    assert new["before"] <= 0.10
    assert new["after"] >= 0.90


@pytest.mark.parametrize("skill", QUESTIONS)
def test_test_rows_have_wordings_that_no_training_row_has(skill: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Less the words that the classes turn on, and the things spoken of, no sentence of the test stands elsewhere."""
    monkeypatch.syspath_prepend(ROOT)
    from pretraining import sentences

    nouns = {noun for nouns in sentences.SUBJECTS.values() for noun in nouns}
    filling = {*sentences.THINGS, *sentences.PRAISE, *sentences.BLAME, *nouns}

    def frame(question: str) -> str:
        return " ".join("_" if word.strip(".") in filling else word for word in question.split())

    data = demo_data(skill)
    formats = registry().find("format", "alpaca")[1]
    rows = {
        name: list(strict(read(find(str(path), spool=path.parent), Reading(formats))))
        for name, path in (("train", data.train), ("validation", data.validation), ("test", data.test))
    }
    questions = {name: {normalised(row) for row in part} for name, part in rows.items()}
    assert not questions["test"] & (questions["train"] | questions["validation"])
    assert not questions["validation"] & questions["train"]
    frames = {name: {frame(question) for question in part} for name, part in questions.items()}
    assert all("_" in found for part in frames.values() for found in part)
    assert not frames["test"] & (frames["train"] | frames["validation"])
    answers = [row.answer for row in rows["test"]]
    assert len(answers) >= 50
    assert len({answers.count(answer) for answer in set(answers)}) == 1  # balanced


def test_an_unknown_skill_is_a_sentence(run: Callable[..., Said]) -> None:
    said = run("demo", "--skill", "sentimint")
    assert said.code == 2
    assert "Did you mean 'sentiment'?" in said.err


def test_the_demo_shows_what_to_do_next(run: Callable[..., Said]) -> None:
    said = run("demo", "--model", "tiny-falcon")
    assert said.code == 0, said.err
    for words in ("before", "after", "(new, unseen rows)", "loss.png", "graftlm generate", "graftlm adapters show"):
        assert words in said.out
    assert "\n  negative\n" in said.out
