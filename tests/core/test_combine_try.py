"""``graftlm adapters combine --try``: candidates scored on the rows that their parents were evaluated on."""

from __future__ import annotations

import functools
import json
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from test_from_adapter import World, little_to_collect

from graftlm.cli.adapters.combine import combine as command
from graftlm.contracts.combining import TrialScore, TrialSubject
from graftlm.contracts.errors import GraftlmError, RunError
from graftlm.contracts.outcome import Score
from graftlm.judging import combinations as trying
from graftlm.judging import evaluation_rows as choosing
from graftlm.judging.combinations import Trials, try_all
from graftlm.running import combine as combining
from graftlm.running.answer import answer
from graftlm.testing.in_process import start_in_process
from graftlm_registry.adapters import open_store
from graftlm_registry.home import home
from graftlm_registry.plugins import registry

ROWS = 80
TASKS = {"colours": ("Name the colour.", "red"), "animals": ("Name the animal.", "cat")}
SETTINGS: dict[str, Any] = {"rank": 4, "alpha": 8.0, "max_steps": 12, "batch_size": 16, "micro_batch": 16}


def written(world: World, name: str) -> Path:
    """One question about many things, and its answer."""
    question, said = TASKS[name]
    path = world.folder / f"{name}.jsonl"
    rows = [{"instruction": question, "input": f"thing {i}", "output": said} for i in range(ROWS)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory, _probed: Path) -> Iterator[World]:
    world = World(tmp_path_factory.mktemp("try"), _probed)
    runs: dict[str, Mapping[str, Any]] = {
        name: {**SETTINGS, "data": str(written(world, name)), "val_split": 0.5, "test_split": 0.1, "seed": seed}
        for seed, name in enumerate(TASKS)
    }
    more = {**SETTINGS, "data": str(world.folder / "animals.jsonl")}
    runs["tested"] = {**more, "val_split": 0.05, "test_split": 0.3, "max_steps": 2}
    runs["blind"] = {**more, "max_steps": 2}
    runs["lossy"] = {**more, "val_split": 0.5, "evaluator": "perplexity", "max_steps": 2}
    runs["wide"] = {**more, "val_split": 0.5, "rank": 8, "max_steps": 2}
    with little_to_collect():
        world.train_all(runs)
        yield world


@pytest.fixture
def world(built: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    built.copy(tmp_path / "graftlm", monkeypatch)
    return built


def tried(*given: str, **settings: Any) -> Trials:
    return try_all(given, registry(), lambda event: None, start=start_in_process, **settings)


def by_hand(name: str, task: str) -> float:
    """The share of a task's validation rows that an adapter of the store answers right."""
    (rows,) = choosing.evaluation_rows([open_store().get(task)], registry())
    asked = [row.messages[0].content for row in rows.rows]
    said = answer(name, asked, registry(), lambda event: None, 8, start=start_in_process)
    return sum(text.strip() == TASKS[task][1] for text in said) / len(said)


def test_parents_and_candidates_are_scored_on_the_validation_rows_of_each(world: World) -> None:
    found = tried("colours", "animals", combinations=["linear", "svd"])
    assert [(each.split, len(each.rows), each.trained) for each in found.rows] == [
        ("validation", each.available, 0) for each in found.rows
    ]
    for rows, (question, said) in zip(found.rows, TASKS.values(), strict=True):
        assert 30 <= len(rows.rows) < 60
        assert {(row.messages[0].content.split("\n")[0], row.answer) for row in rows.rows} == {(question, said)}
    base, colours, animals = found.others
    assert (base.name, colours.name, animals.name) == ("mistral", "colours@1", "animals@1")
    assert [score.value for score in base.scores] == [0, 0]
    assert colours.scores[0].value == animals.scores[1].value == 1, "the parents have learnt nothing"
    assert colours.scores[0].low is not None
    assert len(found.candidates) == 8
    weights = {each.plan.weights for each in found.candidates if each.plan}
    assert weights == {(0.5, 0.5), (0.7, 0.3), (0.3, 0.7), (1, 1)}
    for each in (*found.others, *found.candidates):
        assert each.mean == pytest.approx(sum(score.value for score in each.scores) / 2)
        assert each.least == min(score.value for score in each.scores)
    means = [each.mean for each in found.candidates]
    assert means == sorted(means, reverse=True)
    for number, change in enumerate(found.changes):
        assert change.value == pytest.approx(found.best.scores[number].value - 1)
        assert change.worse == (change.high is not None and change.high < 0)
    assert not open_store().has("colours-animals")


def test_a_candidate_scores_what_the_published_combination_does(world: World) -> None:
    """And the parents what they do when they are asked alone."""
    found = tried("colours=1", "animals=1", combinations=["cat", "ties"], density=0.4)
    assert [each.plan.combination for each in found.candidates if each.plan] != []
    for number, (each, task) in enumerate(zip(found.others[1:], TASKS, strict=True)):
        assert each.scores[number].value == by_hand(task, task)
    for each in found.candidates:
        assert each.plan is not None
        made = combining.combine(
            found.parents, each.plan, lambda event: None, registry(), name=each.name, start=start_in_process
        )
        assert made.record.hyperparameters["weights"] == [1, 1]
        for score, task in zip(each.scores, TASKS, strict=True):
            assert score.value == by_hand(each.name, task), (each.name, task)
    assert {each.plan.density for each in found.candidates if each.plan} == {None, 0.4}


def test_the_base_is_loaded_once(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    from graftlm.worker import fitting

    loads: list[str] = []
    whole = fitting.load_base

    def load(*arguments: Any) -> Any:
        loads.append("base")
        return whole(*arguments)

    monkeypatch.setattr(fitting, "load_base", load)
    assert len(tried("colours", "animals").candidates) == 20
    assert loads == ["base"]


def test_what_the_best_is_better_by_is_paired_and_each_parent_counts_the_same() -> None:
    def subject(*values: tuple[float, ...]) -> TrialSubject:
        return TrialSubject(scores=tuple(
            TrialScore(score=Score(evaluation="x", role="new", metric="m", moment="after", value=sum(each) / len(each),
                                   n=len(each)), each=each)
            for each in values
        ))  # fmt: skip

    best = subject((1.0,) * 40, (1.0,) * 10)
    low, high = trying._behind(best, subject((1.0,) * 40, (0.0,) * 10), 1)
    assert low < 0.5 < high
    assert low > 0.1
    assert trying._behind(best, best, 1) == (0, 0)
    low, high = trying._behind(subject((1.0, 0.0) * 20), subject((0.0, 1.0) * 20), 1)
    assert low < 0 < high


def test_few_validation_rows_give_way_to_test_rows(world: World) -> None:
    found = tried("colours=0.5", "tested=0.5", combinations=["cat"])
    assert [each.split for each in found.rows] == ["validation", "test"]


def test_rows_that_another_parent_was_trained_on_are_left_out(world: World) -> None:
    found = tried("animals=0.5", "tested=0.5", combinations=["linear"])
    first = found.rows[0]
    assert first.trained > 0
    assert first.available + first.trained == 40 or first.available + first.trained < 60
    trained = {row.messages[0].content for row in choosing._rows(
        found.rows[1].record, found.rows[1].plan, "train", registry())}  # fmt: skip
    assert not trained & {row.messages[0].content for row in first.rows}


def test_no_more_rows_are_asked_than_the_most(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(choosing, "MOST", 7)
    for each in tried("colours=1", "animals=1", combinations=["cat"]).rows:
        assert 0 < len(each.rows) <= 7 < each.available


@pytest.mark.parametrize(
    ("given", "settings", "words"),
    [
        (("colours", "blind"), {}, "blind@1 was trained without validation and test rows"),
        (("colours", "lossy"), {}, "lossy@1 are scored by perplexity, which does not tell"),
        (("colours", "animals=1"), {}, "'colours' is not NAME=WEIGHT"),
        (("colours",), {}, "two adapters or more"),
        (("colours", "wide"), {"combinations": ["ties", "linear"]}, "ties needs adapters of the same rank"),
        (("colours", "animals"), {"combinations": ["mean"]}, "there is no combination mean"),
        (("colours", "animals"), {"combinations": ["cat"], "seed": 3}, "--seed 3: none of cat has one"),
    ],
)
def test_what_cannot_be_tried_is_one_sentence(
    world: World, given: tuple[str, ...], settings: Mapping[str, Any], words: str
) -> None:
    with pytest.raises(GraftlmError, match=words) as caught:
        tried(*given, **settings)
    assert "\n" not in str(caught.value)


def test_what_is_best_over_two_units_is_not_said() -> None:
    made = [
        TrialScore(
            score=Score(evaluation=name, role="new", metric=unit, moment="after", value=1, n=1, unit=unit), each=()
        )
        for name, unit in (("a", "fraction"), ("b", "BLEU"))
    ]
    with pytest.raises(GraftlmError, match="rows of a are scored in fraction, those of b in BLEU"):
        trying._check_metrics(made)


def test_what_these_ranks_do_not_allow_is_left_out_and_said(world: World) -> None:
    found = tried("colours=0.5", "wide=0.5")
    assert {each.plan.combination for each in found.candidates if each.plan} == {"cat", "svd"}
    assert len(found.left_out) == 3
    assert found.left_out[0].startswith("linear needs adapters of the same rank")


def test_data_that_has_changed_is_no_longer_the_adapters_own(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.rmtree(home() / "cache" / "data", ignore_errors=True)
    path = world.folder / "animals.jsonl"
    whole = path.read_bytes()
    try:
        path.write_bytes(whole.replace(b"cat", b"dog"))
        with pytest.raises(GraftlmError, match="is not what it was when it was trained"):
            tried("colours=1", "animals=1")
        path.unlink()
        with pytest.raises(GraftlmError, match="the data of animals@1"):
            tried("colours=1", "animals=1")
    finally:
        path.write_bytes(whole)


def test_a_combination_has_no_rows_of_its_own_and_a_run_that_is_gone_none_either(world: World) -> None:
    found = tried("colours=1", "animals=1", combinations=["cat"])
    assert found.best.plan is not None
    combining.combine(found.parents, found.best.plan, lambda event: None, registry(), name="both",
                      start=start_in_process)  # fmt: skip
    with pytest.raises(GraftlmError, match="both@1 was combined, not trained here"):
        tried("both=1", "animals=1")
    shutil.rmtree(home() / "runs" / open_store().get("animals").run)
    with pytest.raises(GraftlmError, match="the run of animals@1 is gone"):
        tried("colours=1", "animals=1")


@pytest.fixture
def said(world: World, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The command line, its workers in this process."""
    monkeypatch.setattr(trying, "try_all", functools.partial(try_all, start=start_in_process))
    monkeypatch.setattr(combining, "combine", functools.partial(combining.combine, start=start_in_process))

    def run(*arguments: str) -> str:
        done = CliRunner().invoke(command, ["colours", "animals", "--try", *arguments])
        assert done.exit_code == 0, (done.output, done.exception)
        return done.stdout

    return run


def test_the_command_prints_a_table_and_the_line_that_keeps_the_best(said: Any) -> None:
    out = said("--combination", "cat", "--combination", "dare_ties")
    for words in (
        "on colours@1's rows", "on animals@1's rows", "mean (least)", "dare_ties (density 0.5, seed 0)",
        "exact-match on", "validation rows", "best by the mean:", "against animals@1 alone", "nothing was published",
        "graftlm adapters combine colours@1=", "are no longer unseen",
    ):  # fmt: skip
        assert words in out, words
    assert open_store().names() == sorted(["animals", "blind", "colours", "lossy", "tested", "wide"])
    line = next(line.split() for line in out.splitlines() if "graftlm adapters combine" in line)
    done = CliRunner().invoke(command, line[3:])
    assert done.exit_code == 0, done.output
    assert open_store().has("colours-animals")


def test_with_a_name_the_best_is_kept(said: Any) -> None:
    told = json.loads(said("--combination", "cat", "--name", "both", "--json"))
    assert told["published"]["adapter"] == "both@1"
    assert told["published"]["weights"] == told["candidates"][0]["plan"]["weights"]
    assert open_store().get("both").origin == "combined"
    assert [each["name"] for each in told["alone"]] == ["mistral", "colours@1", "animals@1"]


def test_one_that_cannot_be_made_is_left_out_and_the_base_stays_as_it_was(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    from graftlm_plugins.methods import combining as plugin

    def fails(layer: Any, rank: int) -> None:
        raise RunError("no singular values today")

    whole = tried("colours=0.6", "animals=0.4", combinations=["cat"])
    monkeypatch.setattr(plugin, "_cut", fails)
    found = tried("colours=0.6", "animals=0.4", combinations=["svd", "cat"])
    assert found.left_out == ("svd 0.6 / 0.4: no singular values today",)
    assert [each.scores for each in found.candidates] == [each.scores for each in whole.candidates]
    with pytest.raises(GraftlmError, match="no singular values today"):
        tried("colours=0.6", "animals=0.4", combinations=["svd"])
