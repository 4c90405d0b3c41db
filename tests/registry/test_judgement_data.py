"""Data for judging: retention texts, old skills to be mixed in, and the judgement benchmark's tasks."""

from __future__ import annotations

import json
import re
from collections import Counter
from pathlib import Path

import pytest
from conftest import ROOT

from graftlm.contracts.conversation import Conversation
from graftlm.data.conversations import Reading, read, strict
from graftlm.data.inputs import find
from graftlm.data.rows import read_row
from graftlm_registry.plugins import registry

SHIPPED = ROOT / "registry" / "graftlm_registry"
TASKS = ROOT / "benchmarks" / "judgement" / "data"
REPLAY = SHIPPED / "demo_data" / "old-skills" / "train.jsonl"
SPLITS = ("train", "validation", "test")
SIZES = {
    "shift": (120, 60, 60),
    "facts": (300, 60, 60),
    "facts-in-the-prompt": (1200, 60, 60),
    "facts-retrieved": (1200, 60, 60),
    "sums": (200, 60, 60),
    "subjects-gap": (128, 60, 100),
}


@pytest.fixture(autouse=True)
def _pretraining_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(ROOT)


def own_rows(path: Path) -> list[Conversation]:
    return [read_row(line) for line in path.read_bytes().splitlines()]


def rows(path: Path, name: str) -> list[Conversation]:
    """As a run would read them."""
    return list(strict(read(find(str(path), spool=path.parent), Reading(registry().find("format", name)[1]))))


def task(name: str) -> dict[str, list[Conversation]]:
    data_format = "alpaca" if name == "subjects-gap" else "pairs"
    return {split: rows(TASKS / name / f"{split}.jsonl", data_format) for split in SPLITS}


def questions(found: list[Conversation]) -> list[str]:
    return [row.messages[0].content for row in found]


def codes(text: str) -> dict[str, str]:
    return dict(re.findall(r"The code of (\w{4}) is (\w{4})\.", text))


@pytest.mark.parametrize("module", ["datasets", "judgement_data"])
def test_the_generators_give_the_committed_bytes(module: str) -> None:
    from pretraining import datasets, judgement_data

    made = list({"datasets": datasets, "judgement_data": judgement_data}[module].files())
    assert len(made) >= 15
    for path, content in made:
        assert path.read_bytes() == content.encode(), path


def test_nothing_lies_beside_what_is_generated() -> None:
    from pretraining import judgement_data

    assert {path for path, _ in judgement_data.files()} == {path for path in TASKS.rglob("*") if path.is_file()}


def test_two_draws_differ_where_their_seeds_do(monkeypatch: pytest.MonkeyPatch) -> None:
    from pretraining import datasets, judgement_data

    before = datasets.replay(), datasets.small_world(), judgement_data.known()
    monkeypatch.setattr(datasets, "SEED", 99)
    monkeypatch.setattr(judgement_data, "SEED", 99)
    after = datasets.replay(), datasets.small_world(), judgement_data.known()
    assert all(old != new for old, new in zip(before, after, strict=True))


@pytest.mark.parametrize(
    ("name", "documents", "fewest", "most"), [("english", 64, 70, 130), ("small-world", 48, 8, 90)]
)
def test_retention_texts_are_documents(name: str, documents: int, fewest: int, most: int) -> None:
    found = own_rows(SHIPPED / "retention" / f"{name}.jsonl")
    assert all(row.is_document for row in found)
    texts = questions(found)
    assert len(set(texts)) == len(texts) == documents
    assert all(fewest <= len(text.split()) <= most for text in texts)
    assert all(text == text.strip() and text.isascii() for text in texts)


def test_english_is_varied() -> None:
    """No sentence stands twice, no two documents begin alike, and the words are many."""
    texts = questions(own_rows(SHIPPED / "retention" / "english.jsonl"))
    sentences = [said for text in texts for said in re.split(r"(?<=[.?!])\s+", text)]
    assert len(set(sentences)) == len(sentences) > 300
    assert len({tuple(text.split()[:3]) for text in texts}) == len(texts)
    words = re.findall(r"[a-z']+", " ".join(texts).lower())
    assert len(words) >= 6000
    assert len(set(words)) >= 1800


def test_the_small_world_is_not_the_text_that_scores_the_models() -> None:
    from random import Random

    from pretraining import pretrain, scoring, sentences

    documents = questions(own_rows(SHIPPED / "retention" / "small-world.jsonl"))
    for seed in (scoring.HELD_OUT_SEED, pretrain.SEED):
        rng = Random(seed)
        assert not set(documents) & {sentences.text(rng, 2) for _ in range(200)}
    assert all(document.count("\n\n") == 1 for document in documents)


def test_replay_asks_each_old_skill_and_nothing_of_a_suite() -> None:
    from pretraining import skills

    replay = rows(REPLAY, "alpaca")
    asked = questions(replay)
    assert len(set(asked)) == len(asked)
    assert Counter(row.capability for row in replay) == {name: 80 for name in skills.SKILLS if name != "capitals"}
    for name in skills.SKILLS:
        suite = questions(own_rows(SHIPPED / "skills" / f"{name}.jsonl"))
        assert len(suite) >= 40
        assert not set(asked) & set(suite), name


def test_all_capitals_stand_in_their_suite() -> None:
    """Which is why they are not replayed."""
    from random import Random

    from pretraining import skills

    rng = Random(0)
    all_of_them = {skills.SKILLS["capitals"](rng)[0] for _ in range(2000)}
    assert set(questions(own_rows(SHIPPED / "skills" / "capitals.jsonl"))) == all_of_them


def test_replay_answers_as_the_pre_training_did() -> None:
    """The rules are written out anew here."""
    rules = {
        "reverse": lambda w: w[::-1],
        "upper-case": str.upper,
        "repeat": lambda w: f"{w} {w}",
        "first-letter": lambda w: w[:1],
        "last-letter": lambda w: w[-1:],
        "sum": lambda w: str(sum(map(int, w.split("+")))),
        "steps": lambda w: str(sum(map(int, w.split("+")))),
    }
    for row in rows(REPLAY, "alpaca"):
        given = row.messages[0].content.rpartition("\n")[2]
        answer = row.answer.rpartition("Answer: ")[2]
        assert answer == rules[row.capability](given), row


@pytest.mark.parametrize("name", SIZES)
def test_splits_have_their_sizes_and_share_no_question(name: str) -> None:
    asked = {split: questions(found) for split, found in task(name).items()}
    assert tuple(len(asked[split]) for split in SPLITS) == SIZES[name]
    together = [question for split in SPLITS for question in asked[split]]
    assert len(set(together)) == len(together)


def test_shift_names_nothing() -> None:
    after = dict(zip("abcdefghijklmnopqrstuvwxyz", "bcdefghijklmnopqrstuvwxyza", strict=True))
    for found in task("shift").values():
        for row in found:
            word = row.messages[0].content
            assert re.fullmatch("[a-z]{3,4}", word)
            assert row.answer == "".join(after[letter] for letter in word)


def test_sums_are_right_and_ask_for_no_steps() -> None:
    for found in task("sums").values():
        for row in found:
            digits = re.fullmatch(r"What is\n(\d)\+(\d)\+(\d)", row.messages[0].content)
            assert digits
            assert row.answer == str(sum(map(int, digits.groups())))


def test_a_fact_is_known_from_nowhere_else() -> None:
    """All keys and codes are different words: neither another row nor the key says anything about a code."""
    words: list[str] = []
    for found in task("facts").values():
        for row in found:
            key = re.fullmatch(r"What is the code of (\w{4})\?", row.messages[0].content)
            assert key
            words += [key[1], row.answer]
    assert len(set(words)) == len(words) == 840


def test_facts_in_the_prompt_are_the_same_facts() -> None:
    alone = {
        split: {re.findall(r"\w{4}(?=\?)", row.messages[0].content)[0]: row.answer for row in found}
        for split, found in task("facts").items()
    }
    shown: dict[str, list[str]] = {}
    for split, found in task("facts-in-the-prompt").items():
        asked, places = {}, Counter[int]()
        for row in found:
            told, key = codes(row.messages[0].content), row.messages[0].content[-5:-1]
            assert len(told) == 3
            assert row.messages[0].content.endswith(f" What is the code of {key}?")
            assert told[key] == row.answer
            asked[key] = row.answer
            places[list(told).index(key)] += 1
            shown.setdefault(split, []).extend([*told, *told.values()])
        assert alone[split].items() <= asked.items()
        assert len(asked) == len(found)
        assert min(places[place] for place in range(3)) >= len(found) / 5
    assert len(set(shown["train"])) == len(shown["train"]) == 1200 * 6
    for split in ("validation", "test"):
        assert set(shown[split]) == {*alone[split], *alone[split].values()}
        assert not set(shown[split]) & set(shown["train"])


def test_what_is_retrieved_is_the_fact_that_is_asked_for() -> None:
    retrieved, among = task("facts-retrieved"), task("facts-in-the-prompt")
    for split in SPLITS:
        for row in retrieved[split]:
            ((key, code),) = codes(row.messages[0].content).items()
            assert row.messages[0].content == f"The code of {key} is {code}. What is the code of {key}?"
            assert row.answer == code
        last = [{row.messages[0].content[-5:-1]: row.answer for row in part[split]} for part in (retrieved, among)]
        assert last[0] == last[1]


def test_the_gap_is_in_eight_subjects_and_the_pool_fills_it() -> None:
    """All rows are the demo's own training rows; the pool's are other ones than the training's."""
    parts = task("subjects-gap")
    pool = rows(TASKS / "subjects-gap" / "pool.jsonl", "alpaca")
    trained, offered = (Counter(row.answer for row in part) for part in (parts["train"], pool))
    assert sorted(trained.values()) == [1] * 8 + [10] * 12
    assert {(trained[name], offered[name]) for name in trained} == {(10, 20), (1, 15)}
    assert trained.keys() == offered.keys()
    whole = rows(SHIPPED / "demo_data" / "subjects" / "train.jsonl", "alpaca")
    used = questions(parts["train"]) + questions(pool)
    assert len(set(used)) == len(used)
    answers = {row.messages[0].content: row.answer for row in whole}
    assert all(answers[row.messages[0].content] == row.answer for row in (*parts["train"], *pool))
    for split in ("validation", "test"):
        shipped = SHIPPED / "demo_data" / "subjects" / f"{split}.jsonl"
        assert (TASKS / "subjects-gap" / f"{split}.jsonl").read_bytes() == shipped.read_bytes()
        assert not set(used) & set(questions(parts[split]))


def test_the_pool_is_shuffled() -> None:
    """Its first rows are of many subjects."""
    lines = (TASKS / "subjects-gap" / "pool.jsonl").read_text().splitlines()
    assert len({json.loads(line)["output"] for line in lines[:40]}) >= 12
