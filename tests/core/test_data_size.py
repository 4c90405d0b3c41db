"""``--data-size`` and ``--capability``: fewer rows are among more, and what is scored stays the same."""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from conftest import Said, alpaca_rows
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from graftlm.contracts.config import RunConfig
from graftlm.contracts.conversation import Conversation, Message
from graftlm.contracts.errors import DataError, UsageError
from graftlm.contracts.plan import Plan
from graftlm.contracts.specs import DataFormat
from graftlm.data.chosen_rows import SALT, Choice, Lowest, draw
from graftlm.data.inputs import find
from graftlm.data.rows import read_row
from graftlm.data.splits import DataRequest, survey, write_splits
from graftlm.data.splitting import NAMES, SplitName, SplitRule, fingerprint
from graftlm.planning.resolve import resolve
from graftlm.running.rows import kept_rows
from graftlm_registry.plugins import registry

Write = Callable[[str, Sequence[Any]], Path]
quick = settings(
    max_examples=60, deadline=None, database=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def asked(text: str, answer: str = "an answer", capability: str = "") -> Conversation:
    return Conversation((Message("user", text), Message("assistant", answer)), capability=capability)


def taken(rows: Sequence[tuple[SplitName, Conversation]], **choice: Any) -> list[tuple[SplitName, Conversation]]:
    return list(Choice(**choice).among(lambda: iter(rows), "d.jsonl"))


def plan_of(data: Path, **said: Any) -> Plan:
    return resolve(RunConfig(data=str(data), model="tiny-mistral", retention=False, max_steps=1, **said), registry())


def laid_out(plan: Plan) -> dict[str, list[str]]:
    """The questions of each split, as the worker will read them."""
    folder = kept_rows(plan, registry())
    found: dict[str, list[str]] = {}
    for split in plan.data.splits:
        lines = (folder / f"{split.name}.jsonl").read_text(encoding="utf-8").splitlines()
        assert len(lines) == split.rows
        found[split.name] = [read_row(line).messages[0].content for line in lines]
    return found


# ── the rule ─────────────────────────────────────────────────────────────────────────────────────────────────────────


@quick
@given(st.lists(st.integers(0, 40), min_size=1, max_size=60), st.data())
def test_fewer_rows_are_among_more_in_any_order(numbers: list[int], data: st.DataObject) -> None:
    """Rows that stand twice count twice."""
    more = data.draw(st.integers(1, len(numbers)))
    fewer = data.draw(st.integers(1, more))
    rows: list[tuple[SplitName, Conversation]] = [("train", asked(f"question {i}")) for i in numbers]
    shuffled = data.draw(st.permutations(rows))
    small, large = taken(rows, size=fewer), taken(shuffled, size=more)
    assert (len(small), len(large)) == (fewer, more)
    assert not Counter(map(repr, small)) - Counter(map(repr, large))
    assert Counter(map(repr, taken(shuffled, size=fewer))) == Counter(map(repr, small))
    places = iter(rows)
    assert all(row in places for row in small)  # in the order of the file


@quick
@given(st.lists(st.integers(0, 9), max_size=40), st.integers(0, 12))
def test_the_lowest_numbers(numbers: list[int], most: int) -> None:
    lowest = Lowest(most)
    for number in numbers:
        lowest.add(number)
    take = lowest.takes()
    assert sorted(filter(take, numbers)) == sorted(numbers)[:most]
    assert (lowest.seen, len(lowest)) == (len(numbers), min(most, len(numbers)))


def test_the_number_says_nothing_of_the_split() -> None:
    """Half of the rows by one hash are half of them by the other, on each side."""
    rows = [asked(f"question {i}") for i in range(2000)]
    low = [draw(SALT, row) < 2**63 for row in rows]
    first = [fingerprint(row) < 2**63 for row in rows]
    both = sum(a and b for a, b in zip(low, first, strict=True))
    assert 430 < both < 570  # 500 ± 3.7 standard deviations
    assert draw(SALT, rows[0]) == draw(SALT, Conversation(rows[0].messages, "elsewhere:7"))
    assert draw(SALT, rows[0]) != draw(SALT, asked("question 0", "another answer"))


def test_a_capability_keeps_all_test_rows() -> None:
    rows = [(name, asked(f"{name} {c} {i}", capability=c)) for name in NAMES for c in ("a", "b", "") for i in range(4)]
    found = Counter((name, row.capability) for name, row in taken(rows, capability="a"))
    assert found == {("train", "a"): 4, ("validation", "a"): 4, ("test", "a"): 4, ("test", "b"): 4, ("test", ""): 4}
    found = Counter((name, row.capability) for name, row in taken(rows, capability="a", size=3))
    assert found[("train", "a")] == 3
    assert found.total() == 3 + 4 + 12
    with pytest.raises(DataError, match=r"d\.jsonl has 4 training rows of the capability 'a', and --data-size is 5"):
        taken(rows, capability="a", size=5)
    with pytest.raises(DataError, match=r"'c': there are a \(4\), b \(4\), 4 rows that name none"):
        taken(rows, capability="c")


# ── plans ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_smaller_size_of_a_plan(home: Path, write_rows: Write) -> None:
    rows = alpaca_rows(120)
    data = write_rows("d.jsonl", rows)
    whole = laid_out(plan_of(data))
    sizes = {n: laid_out(plan_of(data, data_size=n)) for n in (5, 20, 60)}
    for n, found in sizes.items():
        assert len(found["train"]) == n
        assert (found["validation"], found["test"]) == (whole["validation"], whole["test"])
    assert set(sizes[5]["train"]) < set(sizes[20]["train"]) < set(sizes[60]["train"]) < set(whole["train"])
    assert sizes[20]["train"] == [text for text in whole["train"] if text in set(sizes[20]["train"])]
    random.Random(5).shuffle(rows)
    shuffled = laid_out(plan_of(write_rows("shuffled.jsonl", rows), data_size=20))
    assert set(shuffled["train"]) == set(sizes[20]["train"])
    every = len(whole["train"])
    assert plan_of(data, data_size=every).data.digest == plan_of(data).data.digest
    with pytest.raises(DataError, match=rf"has {every} training rows, and --data-size is {every + 1}: ask for fewer"):
        plan_of(data, data_size=every + 1)


def test_sizes_are_plans_of_their_own(home: Path, alpaca: Path) -> None:
    """A survey of one size is not taken for another's."""
    plans = [plan_of(alpaca, data_size=n) for n in (None, 3, 4)]
    assert len({plan.data.key for plan in plans}) == len({plan.hash for plan in plans}) == 3
    assert [plan_of(alpaca, data_size=n).data for n in (None, 3, 4)] == [plan.data for plan in plans]


def test_one_capability_of_a_mixture(home: Path, write_rows: Write) -> None:
    skills = ("colours", "sums")
    rows = [{**row, "capability": skills[i % 2], "output": "x" * (i % 3 + 1)} for i, row in enumerate(alpaca_rows(160))]
    data = write_rows("d.jsonl", rows)
    whole, joint = plan_of(data), laid_out(plan_of(data))
    plan = plan_of(data, capability="sums")
    found = laid_out(plan)
    of = {f"{row['instruction']}\n{row['input']}": row["capability"] for row in rows}
    assert found["train"] == [text for text in joint["train"] if of[text] == "sums"]
    assert found["validation"] == [text for text in joint["validation"] if of[text] == "sums"]
    assert found["test"] == joint["test"]
    assert [(e.name, e.rows, e.digest) for e in plan.evaluations] == [
        (e.name, e.rows, e.digest) for e in whole.evaluations
    ]
    assert {e.name for e in plan.evaluations} == set(skills)
    ten = laid_out(plan_of(data, capability="sums", data_size=10))
    assert len(ten["train"]) == 10
    assert set(ten["train"]) < set(found["train"])
    assert ten["validation"] == found["validation"]
    with pytest.raises(DataError, match=r"capability 'sum': there are colours \(\d+\), sums \(\d+\)$"):
        plan_of(data, capability="sum")
    with pytest.raises(UsageError, match="--capability is empty"):
        plan_of(data, capability="")


def test_validation_data_without_the_capability(home: Path, write_rows: Write) -> None:
    data = write_rows("d.jsonl", [{**row, "capability": "sums"} for row in alpaca_rows(20)])
    other = write_rows("v.jsonl", [{"instruction": "other", "output": "x", "capability": "colours"}])
    with pytest.raises(DataError, match=r"v\.jsonl has no rows of 'sums'"):
        plan_of(data, capability="sums", val_data=str(other))


def test_rows_that_change_after_the_survey(tmp_path: Path, write_rows: Write) -> None:
    rows = alpaca_rows(50)
    data = write_rows("d.jsonl", rows)
    made = DataRequest(
        data=find(str(data), spool=tmp_path), rule=SplitRule(validation=0.1, test=0.1), choice=Choice(size=10)
    )
    found = survey(made, None, list(registry().all(DataFormat)))
    alpaca = registry().get(DataFormat, "alpaca")
    write_splits(made, alpaca, found.splits, tmp_path / "same")
    chosen = [read_row(line) for line in (tmp_path / "same" / "train.jsonl").read_text().splitlines()]
    for number in (int(row.source.rpartition(":")[2]) - 1 for row in chosen[:2]):
        write_rows("d.jsonl", [*rows[:number], {**rows[number], "output": "green"}, *rows[number + 1 :]])
        with pytest.raises(DataError, match=r"d\.jsonl changed while the run was being prepared"):
            write_splits(made, alpaca, found.splits, tmp_path / "changed")


def test_what_is_asked_stands_in_the_plan(
    run: Callable[..., Said], write_rows: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "300")
    rows = [{**row, "capability": ("a", "b")[i % 2]} for i, row in enumerate(alpaca_rows(60))]
    config = tmp_path / "run.yaml"
    config.write_text("data-size: 12\ncapability: a\n", encoding="utf-8")
    flags = ("--model", "tiny-mistral", "--no-retention", "--config", config)
    said = run("plan", write_rows("d.jsonl", rows), *flags)
    assert said.code == 0, said.err
    line = next(line for line in said.out.splitlines() if line.startswith("chosen "))
    assert "12 of the training rows that there are, capability 'a' alone, scored on all test rows" in line
    plan = json.loads(run("plan", tmp_path / "d.jsonl", *flags, "--json").out)
    assert (plan["data"]["splits"][0]["rows"], plan["settings"]["data_size"], plan["origins"]["data_size"]) == (
        12, 12, "asked",
    )  # fmt: skip
    assert "chosen " not in run("plan", tmp_path / "d.jsonl", "--model", "tiny-mistral", "--no-retention").out
