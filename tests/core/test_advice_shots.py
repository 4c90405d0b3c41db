"""Which rows are asked, and which are shown as examples."""

from __future__ import annotations

from collections import Counter
from random import Random

import pytest

from graftlm.contracts.conversation import Conversation, Message
from graftlm.contracts.errors import DataError
from graftlm.judging.advice.material import Material, classes_of, material
from graftlm.judging.advice.shots import Choice, Shots, shown_before, told_before
from graftlm.judging.advice.similarity import cosines
from graftlm.judging.advice.variants import COUNTS, few_shot

CHOICES: tuple[Choice, ...] = ("random", "similar", "balanced")


def row(question: str, answer: str, system: str = "", source: str = "") -> Conversation:
    first = (Message("system", system),) if system else ()
    return Conversation((*first, Message("user", question), Message("assistant", answer)), source)


def questions(rows: tuple[Conversation, ...]) -> list[str]:
    return [one.messages[0].content for one in rows]


TRAIN = [row(f"thing number {i}", ("red", "blue", "green")[i % 3], source=f"t:{i}") for i in range(30)]
HELD = [row(f"question {i}", ("red", "blue")[i % 2], source=f"v:{i}") for i in range(20)]


def test_which_rows_are_asked_depends_on_their_words_alone() -> None:
    first = material(TRAIN, HELD, 8)
    shuffled = Random(1).sample(HELD, len(HELD))
    second = material(Random(2).sample(TRAIN, len(TRAIN)), shuffled, 8)
    assert questions(first.asked) == questions(second.asked)
    assert questions(first.pool) == questions(second.pool)
    assert (len(first.asked), first.held, first.leaked) == (8, 20, 0)
    assert questions(material(TRAIN, HELD, 4).asked) == questions(first.asked)[:4]
    assert questions(first.asked) != questions(tuple(HELD[:8]))


@pytest.mark.parametrize("choice", CHOICES)
def test_examples_do_not_depend_on_the_order_of_a_file_and_go_on_from_fewer(choice: Choice) -> None:
    first = material(TRAIN, HELD, 5)
    second = material(TRAIN[::-1], HELD[::-1], 5)
    for i in range(5):
        four = Shots(first.pool, first.asked).chosen(i, choice, 4)
        assert questions(four) == questions(Shots(second.pool, second.asked).chosen(i, choice, 4))
        eight = Shots(first.pool, first.asked).chosen(i, choice, 8)
        assert set(questions(four)) < set(questions(eight))
        assert len({*questions(eight)}) == 8


def test_every_row_has_a_draw_of_its_own() -> None:
    rows = material(TRAIN, HELD, 10)
    shots = Shots(rows.pool, rows.asked)
    assert len({tuple(questions(shots.chosen(i, "random", 3))) for i in range(10)}) > 5


def test_the_most_similar_stands_last() -> None:
    pool = [row("the cat sat on the mat", "a"), row("prices of stocks fell", "b"), row("a cat on a mat", "c")]
    asked = [row("where is the cat, on the mat?", "x"), row("prices of oil rose", "y")]
    shots = Shots(pool, asked)
    assert "cat" in shots.chosen(0, "similar", 2)[0].messages[0].content
    assert "prices" not in " ".join(questions(shots.chosen(0, "similar", 2)))
    assert questions(shots.chosen(1, "similar", 2))[-1] == "prices of stocks fell"


def test_balanced_examples_show_every_class_before_one_twice() -> None:
    rare = [row("a rare thing", "green"), *[row(f"thing {i}", "red") for i in range(20)]]
    rare += [row(f"matter {i}", "blue") for i in range(5)]
    shots = Shots(rare, [row("asked", "red")])
    assert Counter(one.answer for one in shots.chosen(0, "balanced", 3)) == {"red": 1, "blue": 1, "green": 1}
    assert Counter(one.answer for one in shots.chosen(0, "balanced", 7)) == {"red": 3, "blue": 3, "green": 1}
    assert len(shots.chosen(0, "balanced", 100)) == 26


@pytest.mark.parametrize("choice", CHOICES)
def test_a_row_is_never_its_own_example(choice: Choice) -> None:
    """Nor is one with the same question in other capitals."""
    pool = [row("What is this?", "a"), row("what  IS this?", "b"), row("Another one?", "a")]
    shots = Shots(pool, [row("what is this?", "a")])
    assert questions(shots.chosen(0, choice, 3)) == ["Another one?"]


def test_a_question_stands_in_the_pool_once_and_leaks_are_counted() -> None:
    rows = material([*TRAIN, *TRAIN, row("question 3", "red")], HELD, 20)
    assert (len(rows.pool), len(rows.train), rows.leaked, rows.choosable) == (31, 61, 1, 30)


def test_examples_are_turns_before_the_question() -> None:
    asked = row("the question", "the answer", system="Be terse.")
    shots = [row("q1", "a1", system="Be long."), row("q2", "a2")]
    made = shown_before(asked, shots)
    assert [(m.role, m.content) for m in made.messages] == [
        ("system", "Be terse."), ("user", "q1"), ("assistant", "a1"), ("user", "q2"), ("assistant", "a2"),
        ("user", "the question"), ("assistant", "the answer"),
    ]  # fmt: skip
    assert [m.train for m in made.messages if m.role == "assistant"] == [False, False, None]
    assert shown_before(asked, []) == asked
    tools = ({"type": "function", "function": {"name": "f"}},)
    other = Conversation(shots[1].messages, tools=tools)
    assert shown_before(asked, [other]) == asked


def test_words_before_the_last_question() -> None:
    turns = (Message("user", "first"), Message("assistant", "yes"), Message("user", "then"), Message("assistant", "no"))
    told = told_before(Conversation(turns), "Think. ")
    assert [m.content for m in told.messages] == ["first", "yes", "Think. then", "no"]


def test_answers_that_are_classes() -> None:
    assert classes_of(TRAIN) == ("blue", "green", "red")
    assert classes_of([row(f"q{i}", f"answer {i}") for i in range(30)]) == ()
    assert classes_of([*TRAIN, row("q", "a long answer " * 10)]) == ()
    assert classes_of([row("q", "yes")] * 30) == ()  # one question, however often
    assert classes_of([row(f"q{i}", "Yes " if i % 2 else "yes") for i in range(9)]) == ("yes",)
    assert classes_of([]) == ()


def test_nothing_to_ask_is_an_error_that_says_what_to_give() -> None:
    with pytest.raises(DataError, match=r"--val-split 0\.2 .* --val-data"):
        material(TRAIN, [], 10)
    with pytest.raises(DataError, match="no validation row is a question with an answer"):
        material(TRAIN, [Conversation((Message("document", "text"),)), row("q", " ")], 10)


def test_no_training_rows() -> None:
    rows: Material = material([], HELD, 5)
    assert (rows.pool, rows.classes) == ((), ())
    assert few_shot(COUNTS, 0, rows.choosable) == ()
    assert Shots(rows.pool, rows.asked).chosen(0, "similar", 2) == ()


def test_numbers_of_examples() -> None:
    found = few_shot((1, 2, 4), 3, 5)
    assert [v.name for v in found if v.choice == "random"] == [
        "few-shot random 1", "few-shot random 2", "few-shot random 4"
    ]  # fmt: skip
    assert [(v.count, v.each) for v in found if v.choice == "balanced"] == [(1, 0), (2, 0), (3, 1), (4, 0)]
    assert not [v for v in few_shot((1, 2), 1, 50) if v.choice == "balanced"]


def test_similarity() -> None:
    """Of a text with itself 1, of texts that share nothing 0; what all texts have weighs nothing."""
    texts = ["say: abc", "say: xyz", "say: abd"]
    near = cosines(texts, texts)
    assert near.diagonal() == pytest.approx([1, 1, 1])
    assert near[0, 1] == 0
    assert 0 < near[0, 2] < 1
    assert near == pytest.approx(near.T)
    assert cosines(["a"], ["b", "c"]).tolist() == [[0, 0]]
    assert cosines([], ["a"]).shape == (0, 1)
    assert cosines(["a"], []).shape == (1, 0)
