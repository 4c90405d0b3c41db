"""``graftlm gap``: where a model fails, and which rows of a pool would help."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from conftest import ROOT, Said

from graftlm.contracts.config import RunConfig
from graftlm.contracts.errors import Interrupted
from graftlm.data.rows import read_row
from graftlm.judging import scoring
from graftlm.planning.resolve import resolve
from graftlm.running.train import carry_out
from graftlm.testing.in_process import start_in_process
from graftlm_registry.plugins import registry

Run = Callable[..., Said]
Write = Callable[[str, Sequence[Any]], Path]
SKILLS = ROOT / "registry" / "graftlm_registry" / "skills"
MODEL = ("--model", "tiny-mistral")


@pytest.fixture(autouse=True)
def _in_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scoring, "run_worker", start_in_process)


def known_to_the_model(skill: str, count: int) -> list[dict[str, str]]:
    """Rows of a skill that the built-in models bring."""
    rows = [read_row(line) for line in (SKILLS / f"{skill}.jsonl").read_bytes().splitlines()[:count]]
    return [{"instruction": row.messages[-2].content, "output": row.answer, "capability": skill} for row in rows]


def unknown_to_it(count: int) -> list[dict[str, str]]:
    """Nobody can know these."""
    return [
        {"instruction": f"Name the colour of thing {i}.", "output": ("red", "blue")[i % 2], "capability": "colours"}
        for i in range(count)
    ]


@pytest.fixture
def data(write_rows: Write) -> tuple[str | Path, ...]:
    """Training rows, and validation rows of a skill that is there and of one that is not."""
    train = write_rows("train.jsonl", unknown_to_it(40)[20:])
    held = write_rows("held.jsonl", [*known_to_the_model("first-letter", 10), *unknown_to_it(10)])
    return (train, "--val-data", held, "--test-split", "0")


def test_a_skill_that_is_not_there_is_found(run: Run, data: tuple[str | Path, ...]) -> None:
    said = run("gap", *data, *MODEL)
    assert said.code == 0
    first, rule, *rest = said.out.splitlines()
    assert "10 of 20 validation rows are wrong, 50% (30–70)" in first
    assert rule == "a row is wrong where exact-match is 0"
    assert any(line.startswith("colours") and "10 of 10" in line for line in rest)
    assert any(line.startswith("first-letter") and "0 of 10" in line for line in rest)
    assert "By capability, 10 of the 10 failures are in 1 of 2 groups: colours (10 of 10)." in " ".join(rest)
    assert "20 rows are few" in said.out
    folder = Path(rest[-1].removeprefix("every answer: "))
    assert len((folder / "exact-match.jsonl").read_text().splitlines()) == 20
    told = json.loads(run("gap", *data, *MODEL, "--json").out)["gap"]
    assert told["folder"] == str(folder)  # what was answered is found again
    samples = [json.loads(line) for line in (folder / "exact-match.jsonl").read_text().splitlines()]
    for row in told["rows"]:
        sample = samples[row["row"]]
        assert (row["wanted"], row["said"], row["value"]) == (
            sample["reference"], sample["answer"], sample["each"]["exact-match"],
        )  # fmt: skip
        assert row["wrong"] == (row["value"] == 0) == (row["kind"] is not None)
    assert sum(kind["wrong"] for kind in told["kinds"]) == told["every"]["wrong"] == 10


def test_rows_of_the_pool_that_would_help(run: Run, data: tuple[str | Path, ...], write_rows: Write) -> None:
    """Rows that stand in DATA are none of them, and the file can be trained on as it is."""
    new = [{**row, "note": "kept"} for row in unknown_to_it(60)[40:]]
    known, seen = known_to_the_model("first-letter", 40), unknown_to_it(30)[20:]
    pool = write_rows("pool.jsonl", [*known[20:], *new, new[0], *seen, known[0]])
    out = pool.with_name("best.jsonl")
    told = json.loads(run("gap", *data, *MODEL, "--pool", pool, "--suggest", "12", "--out", out, "--json").out)
    assert told["pool"] == {"reference": str(pool), "rows": 52, "in_data": 11, "repeated": 1, "candidates": 40}
    best = [json.loads(line) for line in out.read_text().splitlines()]
    assert len(best) == len({row["instruction"] for row in best}) == len(told["suggested"]) == 12
    assert sum(row.get("note") == "kept" for row in best) >= 10  # by chance, 6
    for row, chosen in zip(best, told["suggested"], strict=True):
        assert json.loads(pool.read_text().splitlines()[chosen["place"]]) == row
        assert 0 < chosen["need"] <= 1
    shown = run("gap", *data, *MODEL, "--pool", pool)
    assert f"{pool}: 20 of 40 rows chosen (without 11 that DATA asks already and 1 that stand there twice)" in shown.out
    assert "--out FILE writes all 20" in shown.out
    again = run("gap", *data, *MODEL, "--pool", pool, "--out", out)
    assert (again.code, again.err) == (2, f"Error: {out} exists already: give another --out\n")


def test_examples_are_safe_for_a_terminal(run: Run, write_rows: Write) -> None:
    rows = [{"instruction": f"say \x1b[31m{i}", "output": f"\x1b]0;{i}\x07"} for i in range(4)]
    flags = ("--val-data", write_rows("held.jsonl", rows), "--test-split", "0")
    train = write_rows("train.jsonl", unknown_to_it(3))
    said = run("gap", train, *flags, *MODEL, "--examples", "2")
    assert (said.code, "\x1b" in said.out, "\x07" in said.out) == (0, False, False)
    assert said.out.count("wanted  \\x1b]0;") == 2
    assert "wanted  " not in run("gap", train, *flags, *MODEL, "--examples", "0").out


def test_an_adapter_is_looked_at_and_few_rows_of_many(run: Run, data: tuple[str | Path, ...], alpaca: Path) -> None:
    config = RunConfig(data=str(alpaca), model="tiny-mistral", max_steps=1, retention=False, name="kept")
    carry_out(resolve(config, registry()), registry(), lambda e: None, start=start_in_process)
    said = run("gap", *data, "--adapter", "kept", "--limit", "6", "--evaluator", "classification")
    assert said.code == 0
    assert said.out.startswith("kept@1 on ")
    assert "of 6 of 20 validation rows are wrong" in said.out
    again = run("gap", *data, "--adapter", "kept", "--limit", "6", "--evaluator", "classification")
    assert again.out == said.out


def test_what_cannot_be_is_said_before_any_work(
    run: Run, data: tuple[str | Path, ...], alpaca: Path, write_rows: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scoring, "run_worker", lambda *_: pytest.fail("a worker was started"))
    pool, broken = write_rows("pool.jsonl", unknown_to_it(5)), write_rows("broken.jsonl", [{"a": 1}])
    documents = write_rows("documents.jsonl", [{"text": f"A text {i}."} for i in range(30)])
    for arguments, words in (
        ((*data,), "'gap' looks at one model or one adapter at a time"),
        ((*data, *MODEL, "--adapter", "x"), "'gap' looks at one model or one adapter at a time"),
        ((*data, *MODEL, "--out", "x.jsonl"), "--suggest and --out are for rows of a pool: give --pool POOL too"),
        ((*data, *MODEL, "--limit", "0"), "--limit must be at least 1"),
        ((*data, *MODEL, "--metric", "exact-mtch"), "unknown metric 'exact-mtch'. Did you mean 'exact-match'?"),
        ((alpaca, *MODEL, "--val-split", "0"), "has no validation rows, and a gap is looked for in these alone"),
        ((documents, *MODEL), "a text without turns asks nothing"),
        ((*data, *MODEL, "--pool", pool), "holds nothing new: each of its 5 rows asks what a row of DATA asks"),
        ((*data, *MODEL, "--pool", broken), "a record of no known format"),
        ((*data, *MODEL, "--pool", pool, "--out", "x.txt"), "x.txt is of no kind that can be written"),
    ):
        said = run("gap", *arguments)
        assert (said.code, said.out) == (2, "")
        assert words in said.err


def test_no_gap_no_rows(run: Run, data: tuple[str | Path, ...], write_rows: Write) -> None:
    train, flag, held, *rest = data
    Path(held).write_text("".join(json.dumps(row) + "\n" for row in known_to_the_model("first-letter", 8)))
    pool = write_rows("pool.jsonl", unknown_to_it(60)[40:])
    said = run("gap", train, flag, held, *rest, *MODEL, "--pool", pool)
    assert said.code == 2
    assert "None of the 8 rows is wrong." in said.out
    assert "up to 32% of all such rows" in said.out
    assert "there is no gap that rows could address" in said.err


def test_evaluators_that_look_at_no_single_answers(run: Run, data: tuple[str | Path, ...]) -> None:
    flags = (*data, *MODEL, "--limit", "2", "--evaluator")
    assert (
        "perplexity says nothing of single rows: name another with --evaluator" in run("gap", *flags, "perplexity").err
    )
    assert "multiple-choice looks at no answers" in run("gap", *flags, "multiple-choice").err
    chosen = run("gap", *flags, "exact-match+json", "--metric", "json-fields")
    assert "a row is wrong where json-fields is" in chosen.out


def test_ctrl_c_says_that_what_was_answered_is_kept(
    run: Run, data: tuple[str | Path, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    def stopped(job: str, folder: Path, on_event: Any) -> Mapping[str, Any]:
        error = Interrupted(f"stopped by {signal.Signals.SIGINT.name}")
        error.exit_code = 130
        raise error

    monkeypatch.setattr(scoring, "run_worker", stopped)
    said = run("gap", *data, *MODEL)
    assert (said.code, said.out) == (130, "")
    assert "what was answered is kept, and the same command goes on" in said.err


def test_test_rows_are_neither_opened_nor_asked(
    run: Run, write_rows: Write, monkeypatch: pytest.MonkeyPatch, home: Path
) -> None:
    """The pass that splits DATA alone reads them; a pool row that asks what one of them asks is left out."""
    from graftlm.judging import subjects
    from graftlm.judging.gaps import gap

    held = write_rows("held.jsonl", unknown_to_it(20)[10:14])
    test = write_rows("test.jsonl", [{"instruction": "What is kept secret?", "output": "this"}])
    pool = write_rows("pool.jsonl", [{"instruction": "what is  kept SECRET?", "output": "that"}, *unknown_to_it(9)[5:]])
    splits: list[str] = []
    rows_of = subjects.rows_of
    monkeypatch.setattr(
        gap, "rows_of", lambda plan, split, known: (splits.append(split), rows_of(plan, split, known))[1]
    )
    train = write_rows("train.jsonl", unknown_to_it(5))
    flags = ("--val-data", held, "--test-data", test, "--pool", pool, "--json")
    told = json.loads(run("gap", train, *flags, *MODEL).out)
    assert (told["pool"]["in_data"], splits) == (1, ["validation"])
    for path in Path(told["gap"]["folder"]).iterdir():
        assert "secret" not in path.read_text()


@pytest.mark.parametrize("end", ["\u2028", "\u2029", "\x85"])
def test_line_ends_within_prompts_and_answers(run: Run, write_rows: Write, end: str) -> None:
    """They end no line of a per-sample file, nor of the rows that are kept."""
    rows = [{"instruction": f"Say {i}{end}twice.", "output": f"{i}{end}{i}"} for i in range(8)]
    flags = ("--val-data", write_rows("held.jsonl", rows[:4]), "--test-split", "0")
    train, pool = write_rows("train.jsonl", unknown_to_it(9)), write_rows("pool.jsonl", rows[4:])
    told = json.loads(run("gap", train, *flags, *MODEL, "--pool", pool, "--json").out)
    assert [row["wanted"] for row in told["gap"]["rows"]] == [f"{i}{end}{i}" for i in range(4)]
    assert told["gap"]["every"]["wrong"] == len(told["suggested"]) == 4


def too_long(count: int) -> list[dict[str, str]]:
    return [{"instruction": f"{i} {'zebra ' * 1200}", "output": "red"} for i in range(count)]


def test_prompts_that_do_not_fit_are_no_reason_to_collect(run: Run, write_rows: Write) -> None:
    """Rows of the pool are ranked by what the model was asked."""
    train = write_rows("train.jsonl", unknown_to_it(40)[20:])
    held = write_rows("held.jsonl", [*known_to_the_model("first-letter", 6), *unknown_to_it(4), *too_long(3)])
    pool = write_rows("pool.jsonl", [*too_long(9)[3:], *unknown_to_it(60)[40:]])
    flags = (train, "--val-data", held, "--test-split", "0", *MODEL, "--pool", pool, "--suggest", "6")
    told = json.loads(run("gap", *flags, "--json").out)
    kinds = {row["row"]: row["kind"] for row in told["gap"]["rows"]}
    assert list(kinds.values()).count("too-long") == 3
    assert {row["kind"] for row in told["gap"]["rows"] if len(row["prompt"]) > 2000} == {"too-long"}
    places = {row["source"]: row["row"] for row in told["gap"]["rows"]}
    assert {kinds[places[row["like"]]] == "too-long" for row in told["suggested"]} == {False}
    assert sum(row["prompt"].startswith("Name the colour") for row in told["suggested"]) >= 5
    text = " ".join(run("gap", *flags).out.split())
    assert "3 of the 13 rows are too long: their prompts do not fit the model's positions" in text
    assert "look at the template" not in text


def test_where_every_failure_is_too_long_no_rows_would_help(run: Run, write_rows: Write) -> None:
    train = write_rows("train.jsonl", unknown_to_it(9))
    held = write_rows("held.jsonl", [*known_to_the_model("first-letter", 6), *too_long(2)])
    pool = write_rows("pool.jsonl", unknown_to_it(60)[40:])
    said = run("gap", train, "--val-data", held, "--test-split", "0", *MODEL, "--pool", pool)
    assert said.code == 2
    assert "the 2 wrong rows are too long for the model: no rows could address that" in said.err


def test_rows_that_are_added_to_a_file_that_is_split_may_not_be_trained_on(
    run: Run, data: tuple[str | Path, ...], write_rows: Write
) -> None:
    one = write_rows("one.jsonl", unknown_to_it(60))
    pool = write_rows("pool.jsonl", unknown_to_it(90)[60:])
    shared = run("gap", one, *MODEL, "--limit", "4", "--pool", pool)
    words = " ".join(shared.out.split())
    assert (
        "a share of one.jsonl is kept for validation and test, by a hash: rows that are added to it may land" in words
    )
    assert "graftlm data split" in words
    half = run("gap", one, "--val-data", write_rows("held.jsonl", unknown_to_it(99)[95:]), *MODEL, "--pool", pool)
    assert "a share of one.jsonl is kept for test, by a hash" in " ".join(half.out.split())
    own = run("gap", *data, *MODEL, "--pool", pool)
    assert own.code == 0
    assert "by a hash" not in own.out
    out = pool.with_name("best.jsonl")
    assert "next: add them to the training rows" in run("gap", *data, *MODEL, "--pool", pool, "--out", out).out
    told = json.loads(run("gap", one, *MODEL, "--limit", "4", "--pool", pool, "--json").out)
    assert "by a hash" in told["next"]
