"""``--replay``: an exact share of the training rows is from elsewhere, is not scored, and measures nothing."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from conftest import Said, alpaca_rows
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import graftlm_registry
from graftlm.contracts.config import RunConfig
from graftlm.contracts.conversation import Conversation
from graftlm.contracts.errors import DataError, UsageError
from graftlm.contracts.plan import Plan
from graftlm.contracts.specs import DataFormat
from graftlm.data.conversations import Reading
from graftlm.data.inputs import find
from graftlm.data.replay import Replay, wanted
from graftlm.data.rows import read_row
from graftlm.data.splits import DataRequest, survey, write_splits
from graftlm.data.splitting import SplitRule
from graftlm.environments.interpreter import BASE, Interpreter
from graftlm.planning.config_file import read_config_file
from graftlm.planning.resolve import resolve
from graftlm.running.rows import kept_rows
from graftlm.running.train import carry_out
from graftlm.running.worker_process import OnEvent
from graftlm.testing.in_process import start_in_process
from graftlm_registry.plugins import registry

Write = Callable[[str, Sequence[Any]], Path]
REGISTRY = Path(graftlm_registry.__file__).parent
quick = settings(
    max_examples=40, deadline=None, database=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def old_rows(count: int, **more: str) -> list[dict[str, str]]:
    return [{"question": f"old question {i}", "answer": f"old answer {i}", **more} for i in range(count)]


def plan_of(data: Path, **said: Any) -> Plan:
    config = {"retention": False, "max_steps": 1, "model": "tiny-mistral", **said}
    return resolve(RunConfig(data=str(data), **config), registry())


def rows_of(plan: Plan, split: str = "train") -> list[Conversation]:
    path = kept_rows(plan, registry()) / f"{split}.jsonl"
    return [read_row(line) for line in path.read_text(encoding="utf-8").splitlines()]


def questions(rows: Sequence[Conversation]) -> list[str]:
    return [row.messages[0].content for row in rows]


def replayed(plan: Plan) -> list[str]:
    return [text for text in questions(rows_of(plan)) if text.startswith("old question")]


@pytest.fixture
def old(write_rows: Write) -> Path:
    return write_rows("old.jsonl", old_rows(200))


# ── the rule ─────────────────────────────────────────────────────────────────────────────────────────────────────────


@given(st.integers(1, 100_000), st.floats(0.001, 0.9))
def test_the_share_is_of_all_training_rows(new: int, ratio: float) -> None:
    """No other whole number of rows is nearer to it."""
    rows = wanted(new, ratio)

    def off(count: int) -> float:
        return abs(count - ratio * (new + count))

    assert off(rows) <= min(off(rows + 1), off(rows - 1) if rows else 1.0) + 1e-6


@quick
@given(st.integers(1, 60), st.sampled_from([0.1, 0.2, 0.3, 0.5, 0.75]), st.sampled_from([0.3, 0.5, 0.9]))
def test_as_many_as_the_share_and_fewer_are_among_more(
    tmp_path_factory: pytest.TempPathFactory, new: int, ratio: float, other: float
) -> None:
    folder = tmp_path_factory.mktemp("replay")
    rows = [f'{{"question": "q {i}", "answer": "a"}}\n' for i in range(80)]
    (folder / "a.jsonl").write_text("".join(rows), encoding="utf-8")
    random.Random(new).shuffle(rows)
    (folder / "b.jsonl").write_text("".join(rows), encoding="utf-8")

    def taken(name: str, share: float) -> list[str]:
        if not wanted(new, share):
            return []
        reading = Reading(registry().get(DataFormat, "pairs"))
        made = Replay(inputs=find(str(folder / name), spool=folder), reading=reading, ratio=share)
        return questions(list(made.beside(new)))

    one, two = taken("a.jsonl", ratio), taken("b.jsonl", max(ratio, other))
    assert len(one) == min(80, wanted(new, ratio))
    assert len(two) == min(80, wanted(new, max(ratio, other)))
    assert set(one) <= set(two)


# ── plans ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_planned_share_is_laid_out(home: Path, write_rows: Write, old: Path) -> None:
    data = write_rows("d.jsonl", alpaca_rows(100))
    without, plan = plan_of(data), plan_of(data, replay=str(old), replay_ratio=0.25)
    new = questions(rows_of(without))
    train = plan.data.splits[0]
    assert plan.data.replayed == wanted(len(new), 0.25) == round(len(new) / 3)
    assert train.rows == len(new) + plan.data.replayed
    assert plan.data.format == "alpaca"  # the replayed rows are in another
    found = questions(rows_of(plan))
    assert Counter(found) - Counter(new) == Counter(replayed(plan))
    assert len(set(replayed(plan))) == plan.data.replayed
    for name in ("validation", "test"):
        assert plan.data.split(name) == without.data.split(name)
        assert rows_of(plan, name) == rows_of(without, name)
    assert plan.evaluations == without.evaluations
    assert plan.hash != without.hash
    assert set(replayed(plan_of(data, replay=str(old)))) < set(replayed(plan))
    assert plan_of(data, replay=str(old)).data.replayed == wanted(len(new), 0.2)


def test_replayed_rows_do_not_count_for_the_size(home: Path, write_rows: Write, old: Path) -> None:
    data = write_rows("d.jsonl", [{**row, "capability": "new"} for row in alpaca_rows(100)])
    plan = plan_of(data, replay=str(old), replay_ratio=0.5, data_size=20, capability="new")
    assert (plan.data.splits[0].rows, plan.data.replayed) == (40, 20)
    alone = plan_of(data, data_size=20, capability="new")
    assert Counter(questions(rows_of(plan))) - Counter(replayed(plan)) == Counter(questions(rows_of(alone)))


def test_fewer_rows_than_the_share(home: Path, write_rows: Write) -> None:
    data, few = write_rows("d.jsonl", alpaca_rows(100)), write_rows("few.jsonl", old_rows(5))
    new = len(rows_of(plan_of(data)))
    plan = plan_of(data, replay=str(few))
    assert sorted(replayed(plan)) == sorted(row["question"] for row in old_rows(5))
    note = f"few.jsonl has only 5 rows: they are {5 / (new + 5):.1%} of the training rows, and --replay-ratio 0.2 asks"
    assert any(note in said for said in plan.notes)
    exact = write_rows("exact.jsonl", old_rows(wanted(new, 0.2)))
    assert not any("--replay-ratio" in said for said in plan_of(data, replay=str(exact)).notes)


def test_any_kind_of_data_is_replayed(home: Path, write_rows: Write, tmp_path: Path) -> None:
    """A folder whose files are named by split gives its training rows."""
    data = write_rows("d.jsonl", alpaca_rows(60))
    folder = tmp_path / "old"
    folder.mkdir()
    (folder / "train.csv").write_text(
        "question,answer\n" + "".join(f"old question {i},x\n" for i in range(90)), encoding="utf-8"
    )
    kept = {tuple(replayed(plan_of(data, replay=str(place)))) for place in (folder, folder / "train.csv")}
    (folder / "test.csv").write_text("question,answer\nold question of the test,x\n", encoding="utf-8")
    kept |= {tuple(replayed(plan_of(data, replay=str(place)))) for place in (folder, folder / "tr*.csv")}
    assert len(kept) == 1
    assert "old question of the test" not in kept.pop()


def test_replayed_texts_do_not_change_how_the_new_skill_is_scored(home: Path, write_rows: Write) -> None:
    data = write_rows("d.jsonl", alpaca_rows(60))
    texts = write_rows("texts.jsonl", [{"text": f"<think>\nhm\n</think>\n\nA stone lies at {i}."} for i in range(40)])
    plan = plan_of(data, replay=str(texts))
    assert plan.data.replayed > 0
    assert plan.part("evaluator").name == "exact-match"
    assert (plan.data.documents, plan.data.thoughts, plan.encoding.thinking) == (0, 0, False)


def test_other_rows_to_replay_are_another_plan(home: Path, write_rows: Write, old: Path) -> None:
    data = write_rows("d.jsonl", alpaca_rows(60))
    before = plan_of(data, replay=str(old))
    write_rows("old.jsonl", [*old_rows(199), {"question": "old question 199", "answer": "changed"}])
    after = plan_of(data, replay=str(old))
    assert before.data.key != after.data.key
    assert plan_of(data, replay=str(old), replay_ratio=0.2).data == after.data
    assert len({plan_of(data, replay=str(old), replay_ratio=r).data.key for r in (0.1, 0.2)} | {after.data.key}) == 2


def test_rows_that_change_after_the_survey(tmp_path: Path, write_rows: Write, old: Path) -> None:
    formats = list(registry().all(DataFormat))
    made = DataRequest(
        data=find(str(write_rows("d.jsonl", alpaca_rows(50))), spool=tmp_path),
        rule=SplitRule(validation=0.1, test=0.1),
        replay=Replay(
            inputs=find(str(old), spool=tmp_path), reading=Reading(registry().get(DataFormat, "pairs")), ratio=0.5
        ),
    )
    found = survey(made, None, formats)
    alpaca = registry().get(DataFormat, "alpaca")
    write_splits(made, alpaca, found.splits, tmp_path / "same")
    write_rows("old.jsonl", [{**row, "answer": "changed"} for row in old_rows(200)])
    with pytest.raises(DataError, match=r"old\.jsonl changed while the run was being prepared"):
        write_splits(made, alpaca, found.splits, tmp_path / "changed")


# ── what is refused ──────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("side", ["validation", "test"])
def test_questions_that_are_kept_from_training_are_not_replayed(home: Path, write_rows: Write, side: str) -> None:
    """In other case, and with another answer, it is still the same question; one that is trained on may be there."""
    rows = alpaca_rows(60)
    data = write_rows("d.jsonl", rows)
    number, other = (int(rows_of(plan_of(data), name)[0].source.rpartition(":")[2]) for name in (side, "train"))
    held, trained = rows[number - 1], rows[other - 1]
    more = [{"instruction": f"old {i}", "output": "x"} for i in range(3)]
    leaking = write_rows("leaking.jsonl", [{**held, "input": held["input"].upper(), "output": "green"}, *more])
    place = rf"d\.jsonl:{number} \({side}\)"
    with pytest.raises(DataError, match=rf"1 questions that are kept .* replayed from .*leaking\.jsonl.*{place}"):
        plan_of(data, replay=str(leaking), replay_ratio=0.5)
    sound = write_rows("sound.jsonl", [trained, *more])
    assert plan_of(data, replay=str(sound), replay_ratio=0.5).data.replayed == 4


def test_questions_that_measure_forgetting_are_not_replayed(home: Path, write_rows: Write) -> None:
    data = write_rows("d.jsonl", alpaca_rows(60))
    suite = REGISTRY / "skills" / "sum.jsonl"
    with pytest.raises(DataError, match=r"\d+ replayed questions of .*sum\.jsonl also measure .*'sum' \(\d+\): remove"):
        plan_of(data, replay=str(suite), retention=True)
    assert plan_of(data, replay=str(suite)).data.replayed > 0
    own = write_rows("own.jsonl", old_rows(3, capability="mine"))
    with pytest.raises(DataError, match=r"3 replayed questions of .*own\.jsonl also measure .*'mine' \(3\)"):
        plan_of(data, replay=str(own), retention=True, retention_suite=str(own))


def test_the_shipped_old_skills_measure_nothing(home: Path, write_rows: Write) -> None:
    data = write_rows("d.jsonl", alpaca_rows(100))
    plan = plan_of(data, replay=str(REGISTRY / "demo_data" / "old-skills"), replay_ratio=0.5, retention=True)
    assert plan.data.replayed == plan.data.splits[0].rows / 2
    assert {e.name for e in plan.evaluations if e.role == "old"} >= {"sum", "reverse", "repeat"}
    plan_of(data, replay=str(REGISTRY / "demo_data" / "old-skills"), replay_ratio=0.9, retention=True)  # all of them


def test_what_cannot_be_asked(home: Path, alpaca: Path, old: Path, write_rows: Write) -> None:
    with pytest.raises(UsageError, match="--replay-ratio says how much is replayed: give --replay DATA too"):
        plan_of(alpaca, replay_ratio=0.2)
    with pytest.raises(UsageError, match=r"--replay-ratio is 0\.0, and must be more than 0"):
        plan_of(alpaca, replay=str(old), replay_ratio=0.0)
    with pytest.raises(DataError, match=r"--replay-ratio 0\.001 is less than one row beside \d+ training rows"):
        plan_of(alpaca, replay=str(old), replay_ratio=0.001)
    with pytest.raises(DataError, match="there is no data file nowhere"):
        plan_of(alpaca, replay="nowhere.jsonl")
    with pytest.raises(DataError, match=r"empty\.jsonl has no records"):
        plan_of(alpaca, replay=str(write_rows("empty.jsonl", [])))
    with pytest.raises(UsageError, match="standard input cannot be"):
        plan_of(alpaca, replay="-")
    with pytest.raises(UsageError, match="no data was named"):
        plan_of(alpaca, replay="")
    broken = write_rows("broken.jsonl", [*old_rows(20), {"question": "no answer"}])
    with pytest.raises(DataError, match=r"broken\.jsonl:21: "):
        plan_of(alpaca, replay=str(broken))


# ── settings, and a run ──────────────────────────────────────────────────────────────────────────────────────────────


def test_paths_are_relative_to_the_file(tmp_path: Path) -> None:
    path = tmp_path / "run.yaml"
    path.write_text("replay: old.jsonl\nretention-suite: ../suite\nreplay-ratio: 0.3\n", encoding="utf-8")
    assert read_config_file(path) == {
        "replay": str(tmp_path / "old.jsonl"), "retention_suite": str(tmp_path / "../suite"), "replay_ratio": 0.3,
    }  # fmt: skip


def test_the_plan_says_what_is_replayed(run: Callable[..., Said], alpaca: Path, old: Path) -> None:
    said = run("plan", alpaca, "--model", "tiny-mistral", "--no-retention", "--replay", old, "--replay-ratio", "0.5")
    assert said.code == 0, said.err
    new = plan_of(alpaca).data.splits[0].rows
    line = " ".join(said.out.split())
    assert f"{2 * new} train ({new} of them replayed from {old})".replace(" ", "") in line.replace(" ", "")


def test_a_run_trains_on_what_was_planned(home: Path, write_rows: Write, old: Path) -> None:
    data = write_rows("d.jsonl", alpaca_rows(60))
    given: list[list[Conversation]] = []

    def start(job: str, folder: Path, on_event: OnEvent, /, at: Interpreter = BASE) -> Mapping[str, Any]:
        if job == "train":
            lines = (folder / "data" / "train.jsonl").read_text(encoding="utf-8").splitlines()
            given.append([read_row(line) for line in lines])
        return start_in_process(job, folder, on_event, at=at)

    plan = plan_of(data, data_size=30, replay=str(old), replay_ratio=0.25, max_steps=4)
    assert (plan.data.splits[0].rows, plan.data.replayed) == (40, 10)
    trained = carry_out(plan, registry(), lambda event: None, start=start)
    assert trained.record.split_rows["train"] == trained.outcome.encoding.rows == 40
    assert trained.record.data_digest == plan.data.digest
    tested = len(rows_of(plan, "test"))
    assert {(score.evaluation, score.n) for score in trained.record.scores} == {(plan.name, tested)}
    without = carry_out(plan_of(data, data_size=30, max_steps=4), registry(), lambda event: None, start=start)
    assert (without.outcome.encoding.rows, without.outcome.losses == trained.outcome.losses) == (30, False)
    mixed, alone = (questions(rows) for rows in given)
    assert Counter(mixed) - Counter(alone) == Counter(replayed(plan))
    assert (len(mixed), len(alone), len(replayed(plan))) == (40, 30, 10)
