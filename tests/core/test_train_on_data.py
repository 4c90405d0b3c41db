"""Plans and real training runs on every kind of data setting: what is read, what is trained, what is kept."""

from __future__ import annotations

import gzip
import io
import json
import random
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from conftest import ROOT, Said, alpaca_rows

from graftlm.contracts.config import RunConfig
from graftlm.contracts.errors import DataError
from graftlm.contracts.outcome import EncodingCounts
from graftlm.contracts.plan import Plan
from graftlm.data.rows import read_row
from graftlm.encoding.kept import read_counts
from graftlm.planning.resolve import resolve
from graftlm.running.rows import encode_rows, lay_out_rows
from graftlm.running.train import Trained, carry_out
from graftlm.testing.in_process import start_in_process
from graftlm_registry.plugins import registry

Run = Callable[..., Said]
Write = Callable[[str, Sequence[Any]], Path]
FORMATS = ROOT / "tests" / "data" / "formats"


def planned(data: Path | str, model: str = "tiny-mistral", **settings: Any) -> Plan:
    config = {"max_steps": 2, "retention": False, "max_length": 512, **settings}
    return resolve(RunConfig(data=str(data), model=model, **config), registry())


@dataclass
class Worker:
    """Starts jobs in this process, and counts them."""

    jobs: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    def start(self, job: str, folder: Path, on_event: Any) -> Any:
        self.jobs.append(job)
        return start_in_process(job, folder, on_event)

    def listen(self, event: Any) -> None:
        if event["event"] == "warning":
            self.warnings.append(event["message"])

    def train(self, plan: Plan) -> Trained:
        return carry_out(plan, registry(), self.listen, start=self.start)

    def encode(self, plan: Plan, folder: Path) -> dict[str, EncodingCounts]:
        """What a run does before it trains; the counts of each split."""
        folder.mkdir()
        lay_out_rows(plan, registry(), folder)
        encode_rows(plan, folder, self.listen, self.start)
        return {path.stem: read_counts(path) for path in (folder / "encoded").glob("*.json")}


@pytest.fixture
def worker(home: Path) -> Worker:
    return Worker()


def test_rows_of(worker: Worker, tmp_path: Path) -> None:
    """The layout of a run's folder, on which the tests below stand."""
    counts = worker.encode(planned(ROOT / "tests" / "data" / "colours.jsonl"), tmp_path / "run")
    assert {name: found.rows for name, found in counts.items()} == {"train": 32, "validation": 12}
    assert len((tmp_path / "run" / "data" / "test.jsonl").read_text().splitlines()) == 4
    assert worker.jobs == ["encode"]


# ── a mixture ────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_each_capability_of_a_mixture_has_a_score(run: Run, worker: Worker, write_rows: Write, tmp_path: Path) -> None:
    colours = write_rows("colours.jsonl", alpaca_rows(60))
    sums = write_rows("sums.jsonl", [{"question": f"{i} + 1", "answer": str(i + 1)} for i in range(60)])
    mixture = tmp_path / "mixture.jsonl.gz"
    assert run("data", "mix", f"{colours}=2", sums, "--rows", "120", "--out", mixture).code == 0
    plan = planned(mixture, val_split=0.1, test_split=0.2, max_steps=3)
    new = {e.name: e.rows for e in plan.evaluations}
    test = plan.data.split("test")
    assert test is not None
    assert set(new) == {"colours", "sums"}
    assert sum(new.values()) == test.rows
    trained = worker.train(plan)
    found = {(score.evaluation, score.role, score.moment): score.n for score in trained.record.scores}
    assert found == {(name, "new", moment): rows for name, rows in new.items() for moment in ("before", "after")}
    assert trained.outcome.proof.effect > 0
    for name in new:
        samples = (trained.run / "samples" / f"new.{name}.exact-match.after.jsonl").read_text().splitlines()
        assert len(samples) == new[name]


# ── encoded once ─────────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_same_data_is_encoded_once(worker: Worker, alpaca: Path, tmp_path: Path) -> None:
    first, second = worker.train(planned(alpaca)), worker.train(planned(alpaca))
    assert worker.jobs == ["encode", "train", "train"]
    assert first.outcome.encoding == second.outcome.encoding
    assert first.outcome.losses == second.outcome.losses
    copied = tmp_path / "copy" / "other-name.csv"  # the same rows elsewhere, in another container
    copied.parent.mkdir()
    lines = [json.loads(line) for line in alpaca.read_text().splitlines()]
    copied.write_text("instruction,input,output\n" + "".join(f"{','.join(row.values())}\n" for row in lines))
    for number, same in enumerate((planned(copied), planned(alpaca, learning_rate=0.1, name="other", seed=3))):
        worker.encode(same, tmp_path / f"same-{number}")
    assert worker.jobs.count("encode") == 1


def test_what_determines_the_encoding_encodes_anew(worker: Worker, write_rows: Write, tmp_path: Path) -> None:
    rows = alpaca_rows(40)
    data = write_rows("data.jsonl", rows)
    plans = {
        "first": planned(data, "tiny-qwen"),
        "template": planned(data, "tiny-qwen", template="chatml", allow_template_mismatch=True),
        "max_length": planned(data, "tiny-qwen", max_length=300),
        "train_on": planned(data, "tiny-qwen", train_on="all"),
        "overlong": planned(data, "tiny-qwen", overlong="error"),
        "thinking": planned(data, "tiny-qwen", thinking="on"),
        "model": planned(data, "tiny-mistral"),
    }
    for name, plan in plans.items():
        before = len(worker.jobs)
        worker.encode(plan, tmp_path / name)
        assert worker.jobs[before:] == ["encode"], name
    for name, plan in plans.items():
        worker.encode(plan, tmp_path / f"{name}-again")
    assert len(worker.jobs) == len(plans)
    write_rows("data.jsonl", [*rows[:-1], {**rows[-1], "output": "green"}])
    worker.encode(planned(data, "tiny-qwen"), tmp_path / "changed")
    assert len(worker.jobs) == len(plans) + 1


# ── data settings ────────────────────────────────────────────────────────────────────────────────────────────────────


def test_columns_of_a_table_are_trained_on(worker: Worker, tmp_path: Path) -> None:
    table = tmp_path / "table.csv"
    rows = "".join(f"What is {i}?,{i % 3},{random.Random(i).random()}\n" for i in range(40))
    table.write_text(f"Frage,Antwort,Zahl\n{rows}")
    with pytest.raises(DataError, match=r"table\.csv:2: a record of no known format, with Frage, Antwort, Zahl"):
        planned(table)
    trained = worker.train(planned(table, columns="input=Frage,output=Antwort"))
    assert trained.outcome.encoding.rows == trained.record.split_rows["train"]
    assert sum(trained.record.split_rows.values()) == 40


def test_train_on(worker: Worker, write_rows: Write, tmp_path: Path) -> None:
    turns = [{"role": role, "content": f"{role} {n}"} for n in range(2) for role in ("user", "assistant")]
    data = write_rows("d.jsonl", [{"messages": [{"role": "system", "content": f"row {i}"}, *turns]} for i in range(20)])
    trained = {
        what: worker.encode(planned(data, val_split=0.0, test_split=0.0, train_on=what), tmp_path / what)["train"]
        for what in ("last", "assistant", "all")
    }
    assert len({counts.tokens for counts in trained.values()}) == 1
    assert trained["assistant"].trained_tokens == 2 * trained["last"].trained_tokens
    assert trained["all"].trained_tokens == trained["all"].tokens
    silenced = [{**turn, "train": False} if turn["content"] == "assistant 1" else turn for turn in turns]
    data = write_rows("d.jsonl", [{"messages": silenced}] * 20)
    for what, times in (("assistant", 1), ("last", 0)):
        plan = planned(data, val_split=0.0, test_split=0.0, train_on=what)
        if times:
            counts = worker.encode(plan, tmp_path / f"silenced-{what}")["train"]
            assert counts.trained_tokens == trained["last"].trained_tokens
        else:
            with pytest.raises(DataError, match="20 of 20 rows have nothing to train on"):
                worker.encode(plan, tmp_path / f"silenced-{what}")


@pytest.mark.parametrize("overlong", ["drop", "truncate-left", "truncate-right", "error"])
def test_overlong(worker: Worker, write_rows: Write, tmp_path: Path, overlong: str) -> None:
    """Two of 40 rows are longer than 64 tokens; one of them has an early answer, the other a late one."""
    rows = [
        {"messages": [{"role": "user", "content": q}, {"role": "assistant", "content": a}]}
        for q, a in [("q", "long " * 40), ("long " * 40, "a"), *((f"q{i}", "short") for i in range(38))]
    ]
    plan = planned(
        write_rows("d.jsonl", rows), max_length=64, overlong=overlong, val_split=0.0, test_split=0.0, max_steps=1
    )
    assert plan.encoding.overlong == overlong
    if overlong == "error":
        with pytest.raises(DataError, match=r"d\.jsonl:1: \d+ tokens, and --max-length is 64"):
            worker.encode(plan, tmp_path / "run")
        return
    counts = worker.encode(plan, tmp_path / "run")["train"]
    found = (counts.rows, counts.used, counts.samples, counts.too_long, counts.truncated, counts.nothing_trained)
    assert found == {
        "drop": (40, 38, 38, 2, 0, 0), "truncate-left": (40, 40, 40, 0, 2, 0), "truncate-right": (40, 39, 39, 0, 1, 1),
    }[overlong]  # fmt: skip
    assert counts.tokens <= 64 * counts.samples


def test_texts_are_trained_on_and_scored_by_perplexity(worker: Worker, tmp_path: Path) -> None:
    words = ["stone", "river", "tree", "cloud", "bird", "light"]
    draw = random.Random(1)
    texts = [" ".join(draw.choices(words, k=30)) for _ in range(40)]
    data = tmp_path / "texts.txt"
    data.write_text("\n\n".join(texts) + "\n")
    plan = planned(data, format="text", max_steps=4, test_split=0.2)
    assert (plan.data.documents, plan.part("evaluator").name, plan.part("evaluator").why) == (
        40, "perplexity", "default",
    )  # fmt: skip
    trained = worker.train(plan)
    assert {score.metric for score in trained.record.scores} == {"loss", "perplexity"}
    before, after = (next(s.value for s in trained.record.scores if s.moment == m) for m in ("before", "after"))
    assert after < before
    counts = trained.outcome.encoding
    assert counts.trained_tokens == counts.tokens - counts.samples  # all but the first token, <s>
    detected = planned(data, max_steps=4, test_split=0.2)
    assert (detected.data.format, detected.part("format").why) == ("text", "detected")
    assert planned(data, evaluator="exact-match").part("evaluator").name == "exact-match"


def test_standard_input_is_trained_on(worker: Worker, alpaca: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(alpaca.read_bytes())))
    plan = planned("-", max_steps=1)
    monkeypatch.setattr(sys, "stdin", None)  # it was read, and is not asked again
    assert Path(plan.settings["data"]).is_file()
    assert [s.digest for s in plan.data.splits] == [s.digest for s in planned(alpaca).data.splits]
    assert worker.train(plan).record.data_digest == plan.data.digest


def test_a_glob_a_folder_and_a_compressed_file_are_the_same_rows(
    worker: Worker, write_rows: Write, alpaca: Path, tmp_path: Path
) -> None:
    whole = planned(alpaca)
    packed = tmp_path / "packed.jsonl.gz"
    packed.write_bytes(gzip.compress(alpaca.read_bytes()))
    (tmp_path / "parts").mkdir()
    for i in range(4):
        write_rows(f"parts/part-{i}.jsonl", alpaca_rows(40)[i * 10 : i * 10 + 10])
    for data in (packed, tmp_path / "parts" / "part-*.jsonl", tmp_path / "parts"):
        plan = planned(data, max_steps=1)
        assert [(s.name, s.rows, s.digest) for s in plan.data.splits] == [
            (s.name, s.rows, s.digest) for s in whole.data.splits
        ]
        worker.encode(plan, tmp_path / f"run-{data.name.strip('*')}")
    assert worker.jobs == ["encode"]
    assert worker.train(planned(tmp_path / "parts" / "part-*.jsonl", max_steps=1)).outcome.encoding.rows > 20


def test_a_folder_of_splits_is_trained_on_as_such(run: Run, worker: Worker, alpaca: Path, tmp_path: Path) -> None:
    out = tmp_path / "split"
    assert run("data", "split", alpaca, "--out", out, "--val-split", "0.2", "--test-split", "0.2").code == 0
    plan = planned(out)
    files = {s.name: (Path(s.path).name, s.rows) for s in plan.data.splits}
    assert files == {
        name: (f"{name}.jsonl", len((out / f"{name}.jsonl").read_text().splitlines()))
        for name in ("train", "validation", "test")
    }
    trained = worker.train(plan)
    assert trained.record.split_rows == {name: rows for name, (_, rows) in files.items()}
    assert {score.n for score in trained.record.scores} == {files["test"][1]}


# ── thoughts and tools ───────────────────────────────────────────────────────────────────────────────────────────────


def thoughts(count: int) -> list[dict[str, str]]:
    return [{"question": f"q{i}", "answer": f"<think>\nhm {i}\n</think>\n\na{i}"} for i in range(count)]


def test_data_with_thoughts_trains_a_model_to_reason(worker: Worker, write_rows: Write, tmp_path: Path) -> None:
    data = write_rows("thoughts.jsonl", thoughts(30))
    plan = planned(data, "tiny-qwen", max_steps=1)
    assert (plan.encoding.thinking, plan.data.thoughts) == (True, 30)
    trained = worker.train(plan)
    assert trained.record.thinking is True
    assert trained.record.hyperparameters["encoding"]["thinking"] is True
    assert planned(data, "tiny-qwen", thinking="off").encoding.thinking is False
    assert planned(data, "tiny-mistral").encoding.thinking is False
    plain = write_rows("plain.jsonl", alpaca_rows(30))
    assert planned(plain, "tiny-qwen").encoding.thinking is False
    assert planned(plain, "tiny-qwen", thinking="on").encoding.thinking is True
    mixed = write_rows("mixed.jsonl", [*thoughts(1), *({"question": f"p{i}", "answer": "a"} for i in range(29))])
    assert planned(mixed, "tiny-qwen").encoding.thinking is True


def tool_rows(call: str) -> list[dict[str, Any]]:
    tool = {"type": "function", "function": {"name": "stock", "parameters": {"type": "object", "properties": {}}}}
    made = {"id": call, "type": "function", "function": {"name": "stock", "arguments": "{}"}}
    return [
        {
            "messages": [
                {"role": "user", "content": f"question {i}"}, {"role": "assistant", "tool_calls": [made]},
                {"role": "tool", "tool_call_id": call, "content": "4"}, {"role": "assistant", "content": "Four."},
            ],
            "tools": [tool],
        } for i in range(20)
    ]  # fmt: skip


@pytest.mark.parametrize("model", ["tiny-glm", "tiny-falcon"])
def test_tools_without_a_form_are_refused(run: Run, write_rows: Write, model: str) -> None:
    data = write_rows("tools.jsonl", tool_rows("abcdefgh1"))
    refused = run("plan", data, "--model", model)
    assert refused.code == 2
    assert "has no form for tools, which 20 rows have: choose a --template that has" in " ".join(refused.out.split())
    refused = run("train", data, "--model", model)
    assert (refused.code, refused.out) == (2, "")
    assert refused.err.startswith("Error: template ")
    assert "has no form for tools, which 20 rows have" in refused.err
    assert len(refused.err.splitlines()) == 1


@pytest.mark.parametrize("model", ["tiny-qwen", "tiny-mistral"])
def test_tools_with_a_form_are_trained_on(worker: Worker, write_rows: Write, tmp_path: Path, model: str) -> None:
    plan = planned(write_rows("tools.jsonl", tool_rows("abcdefgh1")), model, max_length=1024)
    assert plan.problems == ()
    counts = worker.encode(plan, tmp_path / "run")["train"]
    assert counts.used == counts.rows > 10
    (row, *_) = map(read_row, (tmp_path / "run" / "data" / "train.jsonl").read_bytes().splitlines())
    assert row.uses_tools
    assert Counter(message.role for message in row.messages) == {"user": 1, "assistant": 2, "tool": 1}


def test_tools_that_a_template_cannot_say_stop_a_run(worker: Worker, write_rows: Write, tmp_path: Path) -> None:
    """Mistral's models know call ids of nine letters alone; nothing is trained."""
    plan = planned(write_rows("tools.jsonl", tool_rows("call_0")), "tiny-mistral")
    with pytest.raises(DataError, match="tool call ids of 9 letters or digits, and a call of 'stock' has the id"):
        worker.train(plan)
    assert worker.jobs == ["encode"]


# ── the command line ─────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("path", sorted(FORMATS.iterdir()), ids=lambda path: path.name)
def test_every_format_is_planned(run: Run, path: Path) -> None:
    done = run("plan", path, "--model", "tiny-qwen", "--json")
    assert (done.code, done.err) == (0, "")
    plan = json.loads(done.out)
    assert plan["data"]["format"] == {"qwen": "sharegpt"}.get(path.stem, path.stem)
    assert sum(split["rows"] for split in plan["data"]["splits"]) >= 14


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        ("--train-on first", "--train-on: unknown value 'first'. Available: assistant, last, all"),
        ("--overlong cut", "--overlong: unknown value 'cut'. Available: drop, truncate-left"),
        ("--thinking on", "--thinking on: the template 'mistral-v3' has no thinking mode"),
        ("--columns question", "--columns 'question' is not of the form FIELD=COLUMN"),
        ("--split-rule none.json", "none.json cannot be read"),
        ("--split-rule {data}", "give a split.json that 'graftlm data split' wrote"),
        ("--split-rule none.json --val-split 0.2", "--val-split and --split-rule"),
        ("--format text", "data.jsonl:1: not a record of format 'text'"),
        ("--split test", "--split chooses a split of a data set of the hub"),
        ("--val-data none.jsonl", "there is no data file none.jsonl"),
        ("--test-data {data}", "questions that are kept for validation or test are trained on too"),
    ],
)
def test_settings_that_cannot_be_are_one_sentence(run: Run, alpaca: Path, flags: str, words: str) -> None:
    arguments = flags.format(data=alpaca).split()
    for command in ("plan", "train"):
        refused = run(command, alpaca, "--model", "tiny-mistral", *arguments)
        assert (refused.code, refused.out) == (2, "")
        assert words in refused.err
        assert len(refused.err.splitlines()) == 1


def test_ids_that_one_piece_tokenization_would_not_give_are_told() -> None:
    from graftlm.cli.results import _otherwise
    from graftlm.contracts.outcome import EncodingCounts

    assert _otherwise(EncodingCounts(compared=9)) == []
    (line,) = _otherwise(EncodingCounts(compared=1000, differing=12))
    assert line.startswith("12 of the first 1000 rows have other ids")
