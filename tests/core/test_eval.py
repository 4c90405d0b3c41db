"""``graftlm eval``: base and adapter on somebody's rows, answered once, kept with the adapter."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from conftest import Said, alpaca_rows

from graftlm.contracts.config import RunConfig
from graftlm.contracts.errors import Interrupted
from graftlm.judging import scoring
from graftlm.planning.resolve import resolve
from graftlm.running.train import carry_out
from graftlm.testing.in_process import start_in_process
from graftlm.worker import generation
from graftlm.worker.events import Events
from graftlm_registry.adapters import open_store
from graftlm_registry.plugins import registry

Run = Callable[..., Said]
Write = Callable[[str, Sequence[Any]], Path]


@pytest.fixture
def workers(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The worker's jobs are carried out in this process, and counted."""
    started: list[str] = []

    def start(job: str, folder: Path, on_event: Any) -> Mapping[str, Any]:
        started.append(job)
        return start_in_process(job, folder, on_event)

    monkeypatch.setattr(scoring, "run_worker", start)
    return started


@pytest.fixture(scope="module")
def _store(tmp_path_factory: pytest.TempPathFactory, _probed: Path) -> Path:
    """A store with an adapter that names colours."""
    home = tmp_path_factory.mktemp("trained")
    (home / "probes").symlink_to(_probed / "probes")
    rows = home / "rows.jsonl"
    rows.write_text("".join(json.dumps(row) + "\n" for row in alpaca_rows(40)), encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GRAFTLM_HOME", str(home))
        config = RunConfig(
            data=str(rows), model="tiny-mistral", name="colours", max_steps=25, batch_size=8, learning_rate=3e-3,
            val_split=0.0, test_split=0.0, retention=False, seed=1,
        )  # fmt: skip
        carry_out(resolve(config, registry()), registry(), lambda event: None, start=start_in_process)
    return home / "store"


@pytest.fixture
def adapter(home: Path, _store: Path) -> str:
    shutil.copytree(_store, home / "store")
    return "colours"


@pytest.fixture
def rows(write_rows: Write) -> Path:
    """Twelve rows that were not trained on."""
    return write_rows("unseen.jsonl", alpaca_rows(52)[40:])


def scored(run: Run, *arguments: str | Path) -> list[dict[str, Any]]:
    said = run("eval", *arguments, "--json")
    assert said.code == 0, said.err
    found: list[dict[str, Any]] = json.loads(said.out)
    return found


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_a_base_and_an_adapter_on_the_same_rows(run: Run, workers: list[str], rows: Path, adapter: str) -> None:
    base, tuned = scored(run, rows, "--model", "tiny-mistral", "--adapter", adapter)
    assert (base["subject"], tuned["subject"]) == ("tiny-mistral", "colours@1")
    assert base["digest"] == tuned["digest"]
    assert (base["rows"], base["data"]) == (12, str(rows))
    for each, moment in ((base, "before"), (tuned, "after")):
        (score,) = [s for s in each["scores"] if s["metric"] == "exact-match"]
        samples = lines(Path(each["folders"]["rows"]) / "exact-match.jsonl")
        assert score["value"] == sum(s["each"]["exact-match"] for s in samples) / 12
        assert (score["n"], score["moment"], score["interval"]) == (12, moment, "wilson")
        assert score["low"] <= score["value"] <= score["high"]
    assert tuned["scores"][0]["value"] > base["scores"][0]["value"] == 0
    assert workers == ["score", "score"]

    said = run("eval", rows, "--model", "tiny-mistral", "--adapter", adapter)
    assert workers == ["score", "score"], "what was answered is found again"
    change = tuned["scores"][0]["value"] * 100
    assert "against tiny-mistral" in said.out.splitlines()[0]
    assert f"+{change:.0f} (" in said.out


def test_the_words_of_a_single_adapter(
    run: Run, workers: list[str], rows: Path, adapter: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a terminal of 80 columns; its base is in its record."""
    monkeypatch.setenv("COLUMNS", "80")
    said = run("eval", rows, "--adapter", adapter)
    assert said.code == 0, said.err
    table, _, places = said.out.partition("\n\n")
    assert max(map(len, table.splitlines())) <= 80
    assert "against" not in table
    assert "colours@1  rows  exact-match" in table
    assert str(open_store().root / "evaluations" / "colours" / "1") in places


def test_a_score_for_each_capability(run: Run, workers: list[str], write_rows: Write) -> None:
    named = [
        {**row, "capability": name}
        for row, name in zip(alpaca_rows(6), ("one", "two", "two", "one", "two"), strict=False)
    ]
    data = write_rows("named.jsonl", [*named, alpaca_rows(7)[6]])
    (found,) = scored(run, data, "--model", "tiny-mistral", "--evaluator", "exact-match")
    assert {s["evaluation"]: s["n"] for s in found["scores"]} == {"one": 2, "two": 3, "other rows": 1}
    assert set(found["folders"]) == {"one", "two", "other rows"}


def test_which_rows_are_scored(run: Run, workers: list[str], tmp_path: Path) -> None:
    """The test rows of a folder that has them apart; all of a file; or those that are named."""
    folder = tmp_path / "apart"
    folder.mkdir()
    rows = [json.dumps(row) + "\n" for row in alpaca_rows(20)]
    for name, part in (("train", rows[:10]), ("validation", rows[10:13]), ("test", rows[13:])):
        (folder / f"{name}.jsonl").write_text("".join(part), encoding="utf-8")
    usual = ("--model", "tiny-mistral", "--evaluator", "perplexity")
    assert [scored(run, folder, *usual, *more)[0]["rows"] for more in ((), ("--rows", "validation"))] == [7, 3]
    (folder / "all.jsonl").write_text("".join(rows), encoding="utf-8")
    whole = ("eval", folder / "all.jsonl", *usual)
    assert json.loads(run(*whole, "--json").out)[0]["rows"] == 20
    split = json.loads(run(*whole, "--rows", "test", "--test-split", "0.25", "--json").out)
    assert 1 <= split[0]["rows"] <= 10
    assert "say which to score" in run(*whole, "--test-split", "0.25").err


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ((), "nobody to score: give --model M, --adapter NAME"),
        (("--adapter", "colour"), "unknown adapter 'colour'"),
        (("--model", "tiny-mistrl"), "tiny-mistral"),
        (("--model", "tiny-mistral", "--evaluator", "exact-mach"), "Did you mean 'exact-match'?"),
        (("--model", "tiny-mistral", "--rows", "test", "--test-split", "0", "--val-split", "0"), "has no test rows"),
        (("--model", "tiny-mistral", "--set", "evaluator.nothing=1"), "nothing"),
    ],
)
def test_what_cannot_be_scored(run: Run, workers: list[str], rows: Path, more: tuple[str, ...], words: str) -> None:
    said = run("eval", rows, *more)
    assert said.code == 2
    assert words in said.err
    assert "Traceback" not in said.err
    assert not workers


def test_data_that_holds_no_questions(run: Run, workers: list[str], write_rows: Write, tmp_path: Path) -> None:
    """Nothing at all; rows without an answer; no file; no word of any."""
    unanswered = write_rows("questions.jsonl", [{"messages": [{"role": "user", "content": "hi"}]}] * 3)
    for data in (write_rows("empty.jsonl", []), unanswered, tmp_path / "missing.jsonl"):
        said = run("eval", data, "--model", "tiny-mistral")
        assert (said.code, "Traceback" in said.err) == (2, False)
        assert data.name in said.err
    assert "no data: give rows to score on" in run("eval", "--model", "tiny-mistral").err
    assert not workers


def test_rows_from_standard_input_serve_everybody(
    run: Run, workers: list[str], rows: Path, adapter: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They can be read once."""
    with rows.open(encoding="utf-8") as file:
        monkeypatch.setattr("sys.stdin", file)
        found = scored(run, "-", "--model", "tiny-mistral", "--model", "tiny-qwen", "--adapter", adapter)
    assert [(each["rows"], each["data"]) for each in found] == [(12, "standard input")] * 3
    assert len({each["digest"] for each in found}) == 1


def test_a_stopped_job_goes_on(
    run: Run, workers: list[str], rows: Path, monkeypatch: pytest.MonkeyPatch, home: Path
) -> None:
    """Stopped before its third batch, by a signal or by the loss of its supervisor. Half a line was being written."""
    monkeypatch.setattr(generation, "BATCH", 4)
    whole, checked = Events.checkpoint, [0]

    def stop(events: Events) -> None:
        checked[0] += 1
        if checked[0] == 3:
            raise Interrupted("stopped by SIGINT")
        whole(events)

    monkeypatch.setattr(Events, "checkpoint", stop)
    arguments = (rows, "--model", "tiny-mistral", "--evaluator", "exact-match")
    said = run("eval", *arguments)
    assert said.code
    assert "what was answered is kept, and the same command goes on" in said.err
    (path,) = (home / "cache" / "scores").glob("*/answers.jsonl")
    before = path.read_bytes()
    assert before.count(b"\n") == 8
    with path.open("ab") as file:
        file.write(b'{"row": 11, "text": "re')

    (found,) = scored(run, *arguments)
    after = path.read_bytes()
    assert after.startswith(before), "what was answered stays as it was"
    assert sorted(answer["row"] for answer in lines(path)) == list(range(12)), "nothing is answered twice"
    assert found["scores"][0]["n"] == 12
    assert workers == ["score", "score"]

    def nobody(*given: Any, **named: Any) -> Mapping[str, Any]:
        raise AssertionError("all is answered")

    monkeypatch.setattr(scoring, "run_worker", nobody)
    (again,) = scored(run, *arguments)
    assert again["scores"] == found["scores"]
    assert path.read_bytes() == after


def test_an_evaluation_is_kept_with_its_adapter(
    run: Run, workers: list[str], rows: Path, adapter: str, write_rows: Write
) -> None:
    """Once for the same rows, whatever their file is called; its record stays as it was."""
    record = open_store().root / "adapters" / adapter / "1.json"
    before = record.read_bytes()
    plain = run("adapters", "show", adapter).out
    assert "evaluated 20" not in plain
    (found,) = scored(run, rows, "--adapter", adapter)
    renamed = write_rows("renamed.jsonl", alpaca_rows(52)[40:])
    scored(run, renamed, "--adapter", adapter)
    (folder,) = open_store().evaluations(adapter)
    assert {path.name for path in folder.iterdir()} == {
        "evaluation.json", "manifest.json", "rows.rows.jsonl", "rows.answers.jsonl", "rows.exact-match.jsonl",
    }  # fmt: skip
    kept = json.loads((folder / "evaluation.json").read_text(encoding="utf-8"))
    assert kept["scores"] == found["scores"]
    assert len(lines(folder / "rows.answers.jsonl")) == 12

    scored(run, write_rows("others.jsonl", alpaca_rows(60)[52:]), "--adapter", "colours@1")
    assert len(list(open_store().evaluations(adapter))) == 2
    shown = run("adapters", "show", adapter).out
    assert shown.startswith(plain.rstrip("\n"))
    later = shown.partition("evaluated 20")[2]
    score = found["scores"][0]
    bounds = f"({100 * score['low']:.0f}–{100 * score['high']:.0f})"
    assert later.splitlines()[0].endswith(f"(UTC) on 12 rows of {rows}")
    assert f"rows  exact-match  {score['value']:.0%} {bounds}" in later
    assert f"samples: {folder}" in later
    assert found["kept"] == str(folder)
    assert record.read_bytes() == before

    (folder / "evaluation.json").write_text("{", encoding="utf-8")
    damaged = run("adapters", "show", adapter)
    assert (damaged.code, "others.jsonl" in damaged.out) == (0, True)
    assert str(folder) in damaged.err


def test_answers_of_another_adapter_are_not_taken(
    run: Run, workers: list[str], rows: Path, adapter: str, home: Path
) -> None:
    """The same rows and base, other weights: the key of what is kept is of what answers."""
    base, tuned = scored(run, rows, "--model", "tiny-mistral", "--adapter", adapter)
    assert base["folders"]["rows"] != tuned["folders"]["rows"]
    other = scored(run, rows, "--model", "tiny-qwen")[0]
    assert other["folders"]["rows"] not in (base["folders"]["rows"], tuned["folders"]["rows"])
    assert len(list((home / "cache" / "scores").iterdir())) == 3
