"""What all suites have in common: gaps that are known, versions, and the way to run them without pytest."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest import SkipTest

import pytest

from graftlm.api import Optimizer, Option, Requirement, Situation, Tracker
from graftlm.contracts.errors import PluginError
from graftlm.testing import KIT, BackendSuite, Gap, Suite, TrackerSuite
from graftlm.testing.choosing import suite_of
from graftlm.testing.gaps import optional, skip_unless
from graftlm.testing.judging import checks, judge, words_of
from graftlm.testing.manners import check_options, check_reasons, check_requirements, check_summary
from graftlm.testing.numbers import furthest, near
from graftlm.testing.situations import situations

NOT_YET = Gap("not yet", "the library has no such thing")


class Sample(Suite):
    kind = "optimizer"
    optimizer = "adamw"

    def test_it_passes(self) -> None:
        assert self.folder.is_dir()
        assert os.environ["GRAFTLM_HOME"] == str(self.folder / "graftlm")

    def test_a_plugin_s_own(self) -> None:
        assert 1 + 1 == 3, "two and two are not three"

    @optional
    def test_it_is_asked_of_some(self) -> None:
        skip_unless(False, "it does not say so")

    def test_it_raises(self) -> None:
        raise ValueError("out of range")


def test_every_check_has_a_verdict() -> None:
    found = {verdict.check: verdict for verdict in judge(Sample)}
    assert list(found)[:2] == ["test_it_is_there_by_its_own_name", "test_what_it_says_of_itself_is_whole"]
    assert found["test_it_passes"].state == "passed"
    assert (found["test_a_plugin_s_own"].state, found["test_a_plugin_s_own"].reason) == (
        "failed",
        "two and two are not three",
    )
    asked = found["test_it_is_asked_of_some"]
    assert (asked.state, asked.reason, asked.optional) == ("not asked", "it does not say so", True)
    assert found["test_it_raises"].reason.startswith("ValueError: out of range (test_suite_base.py:")
    assert not found["test_it_raises"].optional
    assert words_of("test_a_plugin_s_own") == "a plugin's own"


def test_a_check_has_its_own_folder_and_leaves_nothing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("GRAFTLM_HOME", str(tmp_path))
    seen = []

    class Keeping(Sample):
        def test_it_passes(self) -> None:
            seen.append(self.folder)
            (self.folder / "file").write_text("x", encoding="utf-8")

    for _ in range(2):
        assert next(iter(judge(Keeping, ["test_it_passes"]))).state == "passed"
    assert seen[0] != seen[1]
    assert not any(folder.exists() for folder in seen)
    assert os.environ["GRAFTLM_HOME"] == str(tmp_path)


def test_a_known_gap_is_no_failure_and_says_why() -> None:
    class Known(Sample):
        known_gaps = {"test_a_plugin_s_own": NOT_YET, "test_it_raises": Gap("never", "it cannot")}

    found = {verdict.check: verdict for verdict in judge(Known, ["test_a_plugin_s_own", "test_it_raises"])}
    assert [verdict.state for verdict in found.values()] == ["gap", "gap"]
    assert found["test_a_plugin_s_own"].reason == "known gap (not yet): the library has no such thing"
    with pytest.raises(SkipTest, match="never"):
        Known().test_it_raises()


def test_a_gap_that_works_is_an_error() -> None:
    class Closed(Sample):
        known_gaps = {"test_it_passes": NOT_YET}

    (verdict,) = judge(Closed, ["test_it_passes"])
    assert verdict.state == "failed"
    assert "take it out of known_gaps" in verdict.reason


def test_a_subclass_may_have_closed_a_gap() -> None:
    class Known(Sample):
        known_gaps = {"test_it_raises": NOT_YET}

    class Closed(Known):
        known_gaps = {}

    assert next(iter(judge(Closed, ["test_it_raises"]))).state == "failed"
    assert next(iter(judge(Known, ["test_it_raises"]))).state == "gap"


def test_a_gap_that_names_no_check_is_no_suite() -> None:
    with pytest.raises(TypeError, match="'test_it_pases', which is no check of it"):
        type("Misspelt", (Sample,), {"known_gaps": {"test_it_pases": NOT_YET}})


def test_a_suite_of_a_later_kit_is_refused() -> None:
    with pytest.raises(TypeError, match=f"asks for kit {KIT + 1}, and this graftlm has kit {KIT}"):
        type("Later", (Sample,), {"kit": KIT + 1})


def test_what_a_suite_needs_is_known() -> None:
    assert TrackerSuite.lacking() == ["read"]
    assert BackendSuite.lacking() == []


def test_a_spec_names_its_suite() -> None:
    spec = Tracker(name="adamw", summary="s", target="a:b", suite=f"{__name__}:Sample")
    with pytest.raises(PluginError, match="judges optimizer 'adamw'"):
        suite_of(spec)
    for target, words in {
        "nowhere.at_all:X": "cannot be had",
        f"{__name__}:NOT_YET": "no subclass of a suite",
        f"{__name__}:Unfinished": "does not say read",
    }.items():
        with pytest.raises(PluginError, match=words):
            suite_of(replace(spec, suite=target))
    found, unasked = suite_of(replace(spec, suite=""))
    assert found.kind == "tracker"
    assert "a TrackerSuite with read" in unasked


class Unfinished(TrackerSuite):
    tracker = "adamw"


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (Option(name="a b", type="int", default=1, help="h"), "not letters"),
        (Option(name="a", type="int", default="1", help="h"), "of type int, and its default is '1'"),
        (Option(name="a", type="int", default=True, help="h"), "its default is True"),
        (Option(name="a", type="str", default="c", help="h", choices=("a", "b")), "none of its choices"),
        (Option(name="a", type="float", default=2.0, help="h", maximum=1.0), "is not within None and 1.0"),
        (Option(name="a", type="list", default="x", help="h"), "its default is 'x'"),
        (Option(name="a", type="int", default=1, help=""), "has no help"),
    ],
)
def test_an_option_that_cannot_be_used_is_found(given: Option, words: str) -> None:
    with pytest.raises(AssertionError, match=words):
        check_options(Tracker(name="x", summary="s", target="a:b", options=(given,)))


@pytest.mark.parametrize("summary", ["", "-", "two\nlines", "ends here.", "x" * 101])
def test_a_summary_that_no_table_can_show_is_found(summary: str) -> None:
    with pytest.raises(AssertionError):
        check_summary(Tracker(name="x", summary=summary, target="a:b"))


@pytest.mark.parametrize("needed", [Requirement(), Requirement(distribution="a", minimum=">=1")])
def test_a_requirement_that_pip_cannot_use_is_found(needed: Requirement) -> None:
    with pytest.raises(AssertionError, match="requirement"):
        check_requirements(Tracker(name="x", summary="s", target="a:b", requires=(needed,)))


def changes(asked: Situation) -> list[str]:
    asked.config["asked"] = True  # type: ignore[index]
    return []


@pytest.mark.parametrize(
    ("supports", "words"),
    [
        (lambda asked: "no", "must give a sequence of reasons"),
        (lambda asked: None, "must give a sequence of reasons"),
        (lambda asked: ("",), "which is no sentence"),
        (lambda asked: asked.facts.shape.hidden and (), "raises AttributeError"),
        (changes, "changed what it was asked about"),
    ],
)
def test_a_predicate_without_manners_is_found(supports: Any, words: str) -> None:
    with pytest.raises(AssertionError, match=words):
        check_reasons(Optimizer(name="x", summary="s", target="a:b", supports=supports))


def test_situations_are_of_every_kind() -> None:
    asked = situations()
    assert {"cpu", "cuda", "mps"} <= {each.device for each in asked.values()}
    assert {"fp32", "bf16", "fp16"} <= {each.dtype for each in asked.values()}


def test_figures_that_are_near() -> None:
    assert near([1.0, 2.0], (1.0, 2.001), abs=0.01)
    assert not near([1.0], [1.0, 2.0], abs=9)
    assert near({"a": 1.0}, {"a": 1.01}, rel=0.02)
    assert not near({"a": 1.0}, {"b": 1.0}, rel=0.02)
    assert furthest([1.0, 2.0, 3.0], [1.0, 2.5, 3.1]) == "0.5 at step 2 (2, not 2.5)"
    assert furthest([1.0], [1.0, 2.0]) == "1 figures, not 2"


def test_checks_are_in_order() -> None:
    assert checks(Sample)[-4:] == (
        "test_it_passes",
        "test_a_plugin_s_own",
        "test_it_is_asked_of_some",
        "test_it_raises",
    )
