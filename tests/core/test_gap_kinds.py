"""Kinds of errors: what is the matter with a wrong answer, by rules."""

from __future__ import annotations

import json
import string
from collections import Counter

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from graftlm.judging.gaps.expected import classes_among, expected, has_shape, shape_of
from graftlm.judging.gaps.kinds import KINDS, MEANINGS, REFUSALS, error_kind, refuses
from graftlm.judging.gaps.words import bare, goes_on, script

LABELS = ("law", "baking", "chess", "tennis")
CLASSES = expected(LABELS * 3, LABELS)
FREE = expected(("The cat sat on the mat.", "It rained, all day long", "No"), ())
WORDS = st.text(string.ascii_letters + " ,.", min_size=1, max_size=40)
CYRILLIC = st.text("абвгдежзиклмн", min_size=1, max_size=30)


@pytest.mark.parametrize(
    ("said", "ended", "wanted", "kind"),
    [
        ("", True, "law", "empty"),
        (" \n", False, "law", "empty"),
        ("law law", True, "law", "run-on"),
        ("law. It is about a judge", True, "law", "run-on"),
        ("chess chess chess", False, "law", "run-on"),
        ("I'm sorry, but I can’t say", False, "law", "refuses"),
        ("**I cannot** help", True, "law", "refuses"),
        ("抱歉，我无法回答", True, "law", "refuses"),
        ("закон", True, "law", "other-language"),
        ("法律", False, "law", "other-language"),
        ("the answer is law", True, "law", "wrong-format"),
        ("LAW.", True, "law", "wrong-format"),
        ("lawn", True, "law", "wrong-format"),
        ("chess", True, "law", "wrong-label"),
        ("Chess!", True, "law", "wrong-label"),
        ("chess and law", True, "law", "wrong-label"),
    ],
)
def test_kinds_of_answers_that_should_name_a_class(said: str, ended: bool, wanted: str, kind: str) -> None:
    assert error_kind(said, ended, wanted, CLASSES) == kind


@pytest.mark.parametrize(
    ("references", "said", "kind"),
    [
        (('{"a": 1}', "[1]", '{"b": "c"}'), "a: 1", "wrong-format"),
        (('{"a": 1}', "[1]", '{"b": "c"}'), "7", "wrong-format"),
        (('{"a": 1}', "[1]", '{"b": "c"}'), '{"a": 2}', "wrong-answer"),
        (("12", "1,000", "-3.5"), "twelve", "wrong-format"),
        (("12", "1,000", "-3.5"), "13", "wrong-answer"),
        (("12", "1,000", "-3.5"), "125", "wrong-answer"),
        (("12", "1,000", "-3.5"), "12.5", "wrong-answer"),
        (("12", "1,000", "-3.5"), "12 apples", "run-on"),
        (("2024-05-01", "1999-1-31", "2000-12-24"), "1 May 2024", "wrong-format"),
        (("2024-05-01", "1999-1-31", "2000-12-24"), "2024-05-02", "wrong-answer"),
        (("A b", "c; d", "e"), "a  B!", "wrong-format"),
        (("A b", "c; d", "e"), "a c", "wrong-answer"),
        (("I cannot swim.", "c; d", "e"), "I cannot fly.", "wrong-answer"),
    ],
)
def test_kinds_of_free_answers(references: tuple[str, ...], said: str, kind: str) -> None:
    assert error_kind(said, True, references[0], expected(references, ())) == kind


def test_a_prompt_that_does_not_fit_is_a_kind_of_its_own() -> None:
    """Nothing was asked, so nothing is known of the model."""
    assert error_kind("", False, "law", CLASSES, fits=False) == "too-long"
    assert KINDS[0] == "too-long"


@given(st.text(max_size=60), st.booleans(), st.sampled_from(LABELS))
def test_every_wrong_answer_has_a_kind(said: str, ended: bool, wanted: str) -> None:
    kind = error_kind(said, ended, wanted, CLASSES)
    assert kind in KINDS
    assert (kind == "empty") == (not said.strip())
    assert kind != "wrong-answer"  # where answers are classes, they are named or they are not
    if kind == "wrong-label":
        assert CLASSES.named(said) in set(LABELS) - {wanted}


@given(WORDS, st.sampled_from([" ", ". ", "\n", ", "]), WORDS)
def test_more_behind_the_right_answer_is_run_on(wanted: str, between: str, more: str) -> None:
    assume(bare(wanted).strip(" ,.") and bare(more).strip(" ,.") and not refuses(wanted + between + more))
    assert error_kind(wanted.strip() + between + more, True, wanted.strip(), FREE) == "run-on"


@given(st.sampled_from(REFUSALS), WORDS, st.booleans())
def test_a_refusal_is_one_in_any_writing_and_cut_off(opening: str, more: str, ended: bool) -> None:
    for said in (opening, opening.upper(), f" {opening.replace(chr(39), '’')}"):
        assert error_kind(f"{said} {more}", ended, "law", CLASSES) == "refuses"


@given(CYRILLIC, st.sampled_from(["", "!", " 12", "..."]))
def test_another_script_is_another_language(words: str, more: str) -> None:
    assert error_kind(words + more, True, "a dog", FREE) == "other-language"
    assert error_kind(words + more, True, "ёж", expected(("ёж", "уж", "ещё"), ())) != "other-language"


@given(st.text(string.printable, max_size=40))
def test_the_script_is_that_of_the_letters_alone(text: str) -> None:
    letters = "".join(c for c in text if c.isalpha())
    assert script((text,)) == script((letters,)) == ("LATIN" if letters else "")


def test_scripts() -> None:
    assert script(("今日は雨です",)) == "KANA"
    assert script(("今天下雨",)) == "CJK"
    assert script(("ＡＢＣ",)) == "LATIN"
    assert script(("abcд", "е")) == "LATIN"
    assert script(("ab", "де")) == ""
    assert error_kind("今日は雨です", True, "今天", expected(("今天下雨",) * 3, ())) == "other-language"


def test_a_word_goes_on_only_behind_its_end() -> None:
    assert goes_on("law.", "law")
    assert goes_on("是的", "是")
    assert not goes_on("lawn", "law")
    assert not goes_on("law", "law")
    assert not goes_on("the law", "law")
    assert not goes_on("x", "")


def test_answers_are_classes_where_they_repeat() -> None:
    assert classes_among(Counter(a=4, b=4)) == {"a", "b"}
    assert classes_among(Counter(a=7, b=1)) == {"a", "b"}
    assert classes_among(Counter(a=6, b=1)) == frozenset()  # of 7 rows
    assert classes_among(Counter(a=90)) == frozenset()
    assert classes_among(Counter({"a": 9, "x" * 81: 9})) == frozenset()
    assert classes_among(Counter({str(n): 9 for n in range(1, 6)})) == set("12345")
    assert classes_among(Counter({str(n): 9 for n in range(40)})) == frozenset()  # sums


def test_names_that_differ_by_punctuation_alone_are_not_mixed_up() -> None:
    found = expected(("c", "c#", "go"), ("c", "c#", "go"))
    assert [found.named(said) for said in ("c", "c#", "C#", "Go!", "rust")] == ["c", "c#", "c#", "go", ""]


@given(st.recursive(st.integers() | st.text(max_size=5), lambda inner: st.lists(inner, max_size=3), max_leaves=5))
def test_json_is_an_object_or_a_list(value: object) -> None:
    assert has_shape(json.dumps({"x": value}), "json")
    assert has_shape(json.dumps(value), "json") == isinstance(value, list)


@given(st.text(string.ascii_lowercase + "Äéß0123456789 -:", max_size=30))
def test_a_shape_keeps_under_other_letters_and_digits(text: str) -> None:
    swapped = "".join("q" if c.isalpha() else "7" if c.isdigit() else c for c in text)
    assert shape_of(swapped) == shape_of(text)


def test_each_kind_is_explained() -> None:
    assert set(MEANINGS) == set(KINDS)
