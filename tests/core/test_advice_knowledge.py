"""Is it knowledge? Generated data of which it is known."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from string import ascii_lowercase

import pytest
from conftest import ROOT

from graftlm.contracts.conversation import Conversation, Message
from graftlm.judging.advice.knowledge import FEWEST, Knowledge, knowledge

Draw = Callable[[Random], tuple[str, str]]


def letters(rng: Random, low: int = 3, high: int = 4) -> str:
    return "".join(rng.choice(ascii_lowercase) for _ in range(rng.randint(low, high)))


def shifted(word: str) -> str:
    return "".join(ascii_lowercase[(ascii_lowercase.index(c) + 1) % 26] for c in word)


def row(question: str, answer: str) -> Conversation:
    return Conversation((Message("user", question), Message("assistant", answer)))


def judged(draw: Draw, train: int = 150, seed: int = 0) -> Knowledge:
    rng = Random(seed)
    pairs = dict(draw(rng) for _ in range(train + 60))
    rows = [row(question, answer) for question, answer in pairs.items()]
    return knowledge(rows[:-60], rows[-60:])


def code(rng: Random) -> tuple[str, str]:
    return f"What is the code of {letters(rng, 4, 4)}?", letters(rng, 4, 4)


def telephone(rng: Random) -> tuple[str, str]:
    return f"What is the number of {letters(rng, 5, 5)}, please?", str(rng.randint(10_000, 99_999))


def by_number(rng: Random) -> tuple[str, str]:
    return f"What is the name of device {rng.randint(1000, 9999)}?", letters(rng, 5, 6)


@pytest.mark.parametrize("draw", [code, telephone, by_number])
@pytest.mark.parametrize("seed", range(3))
def test_what_was_drawn_at_random_is_knowledge(draw: Draw, seed: int) -> None:
    found = judged(draw, seed=seed)
    assert found.shown, found
    assert found.unseen > 0.9


def word_rule(rule: Callable[[str], str]) -> Draw:
    def draw(rng: Random) -> tuple[str, str]:
        word = letters(rng)
        return word, rule(word)

    return draw


def product(rng: Random) -> tuple[str, str]:
    a, b = rng.randint(100, 999), rng.randint(100, 999)
    return f"What is {a} times {b}?", str(a * b)


def extracted(rng: Random) -> tuple[str, str]:
    names = [letters(rng, 4, 6) for _ in range(3)]
    return f"First came {names[0]}, then {names[1]}, and {names[2]} last. Who was second?", names[1]


def translated(rng: Random) -> tuple[str, str]:
    """Words of a small language, in sentences that are mostly new."""
    words = {
        word: letters(Random(word), 4, 7) for word in ("cat", "dog", "sees", "hears", "old", "new", "house", "tree")
    }
    said = [rng.choice(sorted(words)) for _ in range(6)]
    return " ".join(said), " ".join(words[word] for word in said)


RULES: dict[str, Draw] = {
    "shift": word_rule(shifted),
    "reverse": word_rule(lambda word: word[::-1]),
    "reverse-shift": word_rule(lambda word: shifted(word)[::-1]),
    "shift-upper": word_rule(lambda word: shifted(word).upper()),
    "product": product,
    "extracted": extracted,
    "translated": translated,
}


@pytest.mark.parametrize("name", RULES)
@pytest.mark.parametrize("train", [FEWEST + 10, 200])
def test_what_follows_from_the_question_is_not(name: str, train: int) -> None:
    found = judged(RULES[name], train)
    assert found.unseen > 0.5  # so that it is the tests that tell
    assert not found.shown
    assert found.from_prompt is not None
    assert any(test.found for test in (found.from_prompt, *found.inferable))


def test_the_rules_that_no_model_was_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(ROOT)
    from pretraining import skills

    for rule in skills.UNSEEN_RULES.values():
        assert not judged(word_rule(rule), 80).shown


def test_classes_are_not_knowledge() -> None:
    """Even where a class is dealt out at random: its name is known."""
    names = [letters(Random(i), 5, 8) for i in range(20)]
    found = judged(lambda rng: (f"Which subject has {letters(rng, 5, 6)}?", rng.choice(names)))
    assert (found.unseen, found.shown) == (0, False)


def test_words_that_all_questions_have_do_not_count() -> None:
    """They would make all questions alike, and every answer like its own prompt."""
    rows = [
        row(f"The codes are made of letters. What is {q}? Say stvw or so.", a)
        for q, a in map(code, map(Random, range(150)))
    ]
    found = knowledge(rows[:90], rows[90:])
    assert found.shown


def test_few_rows_show_nothing() -> None:
    rng = Random(0)
    rows = [row(*code(rng)) for _ in range(FEWEST - 1)]
    found = knowledge(rows, rows)
    assert found.from_prompt is None
    assert not found.shown
    assert not knowledge([], rows).shown


def test_long_answers_are_not_judged() -> None:
    rng = Random(0)
    rows = [row(code(rng)[0], " ".join(letters(rng) for _ in range(40))) for _ in range(120)]
    assert knowledge(rows[:60], rows[60:]).short == 0
    assert not knowledge(rows[:60], rows[60:]).shown


@pytest.mark.parametrize(("question", "answer"), [("same", "same"), ("", ""), ("ab", "1")])
def test_rows_that_are_all_alike(question: str, answer: str) -> None:
    """Nothing varies, so nothing can tell."""
    rows = [row(question, answer)] * (FEWEST + 5)
    assert not knowledge(rows, [row("other", "quite new")] * 5).from_prompt.found  # type: ignore[union-attr]
