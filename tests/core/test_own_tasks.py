"""An evaluator that brings tasks of its own: each is kept as it is scored, found again, and attached."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from graftlm.api import EvaluationResult, HarnessContext, Interrupted, Message, Metric, TaskResult, UsageError, hookimpl
from graftlm.contracts.config import RunConfig
from graftlm.contracts.specs import Environment, Evaluator
from graftlm.environments.declared import declared
from graftlm.judging.differences import differences
from graftlm.judging.evaluating import Evaluated, evaluate
from graftlm.testing.in_process import start_in_process
from graftlm.worker import harness
from graftlm_registry import discovery
from graftlm_registry.discovery import Plugin
from graftlm_registry.plugins import Registry, registry

seen: list[dict[str, Any]] = []
ASKED = (Message("user", "hi"),)


def recite(context: HarnessContext) -> Iterator[TaskResult]:
    """Two tasks of the user's folder; what it is given is written down."""
    assert context.tasks is not None
    seen.append({
        "asked": context.render(ASKED, False),
        "begun": context.render((*ASKED, Message("assistant", "wh")), True),
        "lead": context.lead, "stops": list(context.stops), "own": context.own_template,
        "known": sorted(context.known), "options": dict(context.options),
    })  # fmt: skip
    for path in sorted(context.tasks.glob("*.json")):
        if path.stem in context.known:
            yield TaskResult(name=path.stem)
            continue
        context.checkpoint()
        each = [float(value) for value in json.loads(path.read_bytes())]
        yield TaskResult(
            name=path.stem,
            metrics=(Metric(name="right", unit="fraction", higher_is_better=True),),
            result=EvaluationResult(
                values={"right": sum(each) / len(each)}, samples=tuple({"i": i} for i in range(len(each))),
                each={"right": each},
            ),
        )  # fmt: skip


SPEC = Evaluator(name="recite", summary="for tests", metrics=(), target=f"{__name__}:recite", own_tasks=True)


@pytest.fixture
def known(monkeypatch: pytest.MonkeyPatch) -> Registry:
    found = Registry((*registry().plugins, Plugin("recite", "graftlm", "0", (SPEC,))))
    monkeypatch.setattr(harness, "registry", lambda: found)
    seen.clear()
    return found


@pytest.fixture
def tasks(tmp_path: Path) -> Path:
    folder = tmp_path / "tasks"
    folder.mkdir()
    (folder / "first.json").write_text("[1, 0, 1, 1]", encoding="utf-8")
    (folder / "second.json").write_text("[0, 0]", encoding="utf-8")
    return folder


def scored(tasks: Path, known: Registry, *models: str, **settings: Any) -> list[Evaluated]:
    config = RunConfig(data=str(tasks), evaluator="recite", **settings)
    return list(evaluate(config, models, (), "", known, lambda event: None, start_in_process))


def test_its_tasks_are_scored_with_intervals_and_samples(home: Path, known: Registry, tasks: Path) -> None:
    (found,) = scored(tasks, known, "tiny-mistral")
    first, second = found.record.scores
    assert (first.evaluation, first.metric, first.value, first.n) == ("first", "right", 0.75, 4)
    assert (second.evaluation, second.value, second.interval) == ("second", 0.0, "wilson")
    assert first.low is not None
    assert first.high is not None
    assert first.low < 0.75 < first.high
    assert found.scored[0].samples("recite")[1] == {"i": 1, "each": {"right": 0.0}}
    assert (found.record.rows, found.record.data) == (6, str(tasks))
    (said,) = seen
    assert said["asked"] == "<s>[INST] hi[/INST]"
    assert said["begun"] == said["asked"] + said["lead"] + "wh"
    assert (said["lead"], said["own"], bool(said["stops"])) == (" ", True, True)


def test_what_was_scored_is_found_again_until_the_folder_changes(home: Path, known: Registry, tasks: Path) -> None:
    before = scored(tasks, known, "tiny-mistral")[0]
    assert scored(tasks, known, "tiny-mistral")[0].record.scores == before.record.scores
    assert len(seen) == 1
    (tasks / "second.json").write_text("[1, 0]", encoding="utf-8")
    after = scored(tasks, known, "tiny-mistral")[0].record
    assert [score.value for score in after.scores] == [0.75, 0.5]
    assert after.digest != before.record.digest


def test_a_stopped_job_goes_on_with_the_next_task(
    home: Path, known: Registry, tasks: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from graftlm.worker.events import Events

    asked = [0]

    def stop(events: Events) -> None:
        asked[0] += 1
        if asked[0] == 2:
            raise Interrupted("stopped by SIGINT")

    monkeypatch.setattr(Events, "checkpoint", stop)
    with pytest.raises(Interrupted):
        scored(tasks, known, "tiny-mistral")
    (found,) = scored(tasks, known, "tiny-mistral")
    assert [each["known"] for each in seen] == [[], ["first"]]
    assert [score.value for score in found.record.scores] == [0.75, 0.0]


def test_two_models_are_paired_by_question(home: Path, known: Registry, tasks: Path) -> None:
    one, other = scored(tasks, known, "tiny-mistral", "tiny-qwen")
    (change,) = differences(one.scored[0], other.scored[0])
    assert (change.metric, change.value, change.n) == ("right", 0.0, 4)
    assert [each["own"] for each in seen] == [True, True]


def test_it_has_a_command_of_its_own(home: Path, known: Registry, tasks: Path) -> None:
    config: Mapping[str, Any] = {"data": str(tasks), "evaluator": "recite+exact-match"}
    with pytest.raises(UsageError, match="recite brings tasks of its own and scores no rows"):
        list(evaluate(RunConfig(**config), ("tiny-mistral",), (), "", known, lambda event: None, start_in_process))
    with pytest.raises(UsageError, match="--columns is about rows"):
        scored(tasks, known, "tiny-mistral", columns="a=b")


def test_who_declares_an_environment(home: Path) -> None:
    """A backend and an evaluator may share one; they must mean the same by it."""
    wants = Environment(name="shared", requirements=("torch",))
    one = Evaluator(name="one", summary="", metrics=(), target="a:b", own_tasks=True, environment=wants)
    other = Evaluator(name="other", summary="", metrics=(), target="a:b", own_tasks=True, environment=wants)
    both = declared(Registry([Plugin("p", "graftlm", "0", (one, other))]))["shared"]
    assert both.users == "evaluator one, evaluator other"
    assert (both.backends, both.evaluators) == ((), ("one", "other"))


def test_what_scores_rows_has_no_environment() -> None:
    """It would be passed over without a word."""

    @hookimpl
    def graftlm_evaluators() -> list[Evaluator]:
        return [given]

    wants = Environment(name="mine", requirements=())
    given = Evaluator(name="rows", summary="", metrics=(), target="a:b", environment=wants)
    module = ModuleType("stranger")
    vars(module)["graftlm_evaluators"] = graftlm_evaluators
    found = discovery._checked(discovery._manager(), module, "stranger", "somebody", "1")
    assert "evaluator 'rows' scores rows, which is not done in an environment of its own" in found.problem
