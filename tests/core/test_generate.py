"""``graftlm generate``: in whose words a model is asked, and what an adapter's record has decided."""

from __future__ import annotations

import io
import json
import os
import re
import shutil
import signal
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from conftest import Said

from graftlm.contracts.config import RunConfig
from graftlm.contracts.errors import DataError
from graftlm.contracts.job import GenerateJob
from graftlm.contracts.serial import from_json
from graftlm.planning.resolve import resolve
from graftlm.running import answer
from graftlm.running.prompts import read_prompts
from graftlm.running.train import carry_out
from graftlm.testing.in_process import start_in_process
from graftlm.worker.answering import generate_job
from graftlm.worker.events import Events
from graftlm_registry.models import catalogue
from graftlm_registry.plugins import registry

Run = Callable[..., Said]


@pytest.fixture
def jobs(monkeypatch: pytest.MonkeyPatch) -> list[GenerateJob]:
    """The worker's job is carried out in this process, and can be looked at."""
    seen: list[GenerateJob] = []

    def start(job: str, folder: Path, on_event: Any) -> Mapping[str, Any]:
        seen.append(from_json((folder / "job.json").read_bytes(), GenerateJob, "the job"))
        events = folder / "events.jsonl"
        handlers = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
        descriptor = os.open(events, os.O_WRONLY | os.O_CREAT)
        try:
            generate_job(folder, Events(descriptor))
        finally:
            os.close(descriptor)
            for number, handler in handlers.items():
                signal.signal(number, handler)
        last: Mapping[str, Any] = json.loads(events.read_text(encoding="utf-8").splitlines()[-1])
        return last

    monkeypatch.setattr(answer, "run_worker", start)
    return seen


def asked(run: Run, *arguments: str | Path) -> Said:
    return run("generate", *arguments, "--max-new-tokens", "8")


def test_a_model_whose_own_template_no_other_is_like(run: Run, jobs: list[GenerateJob], tmp_path: Path) -> None:
    """Its own is right by definition, and nothing need be said of it."""
    folder = tmp_path / "altered"
    shutil.copytree(catalogue().entry("tiny-qwen").folder or "", folder)
    template = folder / "chat_template.jinja"
    template.write_text(template.read_text().replace("<|im_end|>\\n", "<|im_end|> \\n"))
    said = asked(run, folder, "reverse: abc")
    assert (said.code, bool(said.out.strip())) == (0, True)
    assert "template" not in said.err
    template.write_text("{% if %}")
    assert asked(run, folder, "hi", "--template", "qwen3", "--thinking", "on").code == 0
    assert [(job.who.template, job.who.thinking) for job in jobs] == [("model", False), ("qwen3", True)]
    broken = asked(run, folder, "hi")
    assert (broken.code, len(broken.err.splitlines())) == (2, 1)
    assert "not valid Jinja" in broken.err
    assert "--template names another" in broken.err


def test_a_model_takes_a_template_and_a_system_text(run: Run, jobs: list[GenerateJob]) -> None:
    assert asked(run, "tiny-falcon", "hi", "--template", "alpaca", "--system", "Be terse.").code == 0
    assert asked(run, "tiny-falcon", "hi").code == 0
    assert [(job.who.template, job.system) for job in jobs] == [("alpaca", "Be terse."), ("falcon-instruct", "")]
    for flags, words in (
        (("--template", "alpaka"), "unknown template 'alpaka'"),
        (("--template", "qwen3"), "has no <|im_start|>"),
        (("--thinking", "on"), "--thinking on: the template 'falcon-instruct' has no thinking mode"),
        (("--thinking", "maybe"), "'maybe' is not one of 'on', 'off'"),
        (("--system", "\udcff"), "is not UTF-8 text"),
    ):
        refused = asked(run, "tiny-falcon", "hi", *flags)
        assert (refused.code, refused.out) == (2, "")
        assert words in refused.err
    assert len(jobs) == 2


def test_an_adapter_s_record_decides(run: Run, jobs: list[GenerateJob], alpaca: Path) -> None:
    config = RunConfig(data=str(alpaca), model="tiny-falcon", max_steps=1, retention=False, name="kept")
    carry_out(resolve(config, registry()), registry(), lambda e: None, start=start_in_process)
    for flags, words in (
        (("--template", "alpaca"), "kept@1 answers in the template that it was trained with, 'falcon-instruct'"),
        (("--thinking", "on"), "kept@1 was trained without thinking, and answers so: leave --thinking out"),
    ):
        refused = asked(run, "kept", "hi", *flags)
        assert (refused.code, refused.out) == (2, "")
        assert words in refused.err
    assert asked(run, "kept", "hi", "--system", "Be terse.").code == 0
    assert [(job.who.template, job.system, job.who.thinking) for job in jobs] == [
        ("falcon-instruct", "Be terse.", False)
    ]


def read(file: str | Path, system: str = "") -> list[tuple[str, list[tuple[str, str]]]]:
    return [
        (prompt.source.rpartition("/")[2], [(m.role, m.content) for m in prompt.messages])
        for prompt in read_prompts(str(file), system, registry())
    ]


def test_prompts_come_from_a_text_or_from_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = tmp_path / "p.txt"
    text.write_bytes("\ufeffhi\r\n\n  {not JSON}\nGrüße\n".encode())
    assert read(text) == [
        ("p.txt:1", [("user", "hi")]), ("p.txt:3", [("user", "{not JSON}")]), ("p.txt:4", [("user", "Grüße")])
    ]  # fmt: skip
    rows = tmp_path / "p.jsonl"
    chat = [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}, {"role": "user", "content": "c"}]
    for given, expected in (
        ([{"prompt": "hi"}, {"prompt": "x", "system": "S"}], [[("user", "hi")], [("system", "S"), ("user", "x")]]),
        ([{"instruction": "do", "input": "", "output": "done"}], [[("user", "do")]]),
        ([{"messages": chat}], [[("user", "a"), ("assistant", "b"), ("user", "c")]]),
        ([{"messages": chat[:2]}], [[("user", "a")]]),
    ):
        rows.write_text("".join(json.dumps(row) + "\n" for row in given))
        assert read(rows) == [(f"p.jsonl:{i}", messages) for i, messages in enumerate(expected, 1)]
    assert read(text, "S")[0][1] == [("system", "S"), ("user", "hi")]
    for piped, first in ((text.read_bytes(), "hi"), (b' {"prompt": "x"}\n', "x"), (b'[{"prompt": "y"}]', "y")):
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(piped)))
        source, messages = read("-")[0]
        assert (source.partition(":")[0], messages[-1]) == ("<stdin>", ("user", first))


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("p.txt", b"hi\n\xff\n\xfe\n", "p.txt:2: not UTF-8 text\n.*p.txt:3: not UTF-8 text"),
        ("p.txt", b"\n\n", "p.txt has no prompts"),
        (
            "p.jsonl",
            b'{"prompt": "a"}\n{"prompt": 3}\n{"prompt": " "}\n{',
            "p.jsonl:2: 'prompt' must be text.*\n.*:3: the p",
        ),
        ("p.jsonl", b'{"strange": "a"}\n', "p.jsonl:1: a record of no known format"),
        ("p.jsonl", b'{"text": "a document"}\n', "p.jsonl:1: a text without turns asks nothing"),
        ("p.jsonl", b'{"messages": [{"role": "assistant", "content": "a"}]}\n', "p.jsonl:1: "),
        ("p.jsonl", b'{"prompt": "a", "system": "mine"}\n', "p.jsonl:1: it has a system text of its own"),
        ("p.doc", b"hi", "p.doc is of no known kind"),
    ],
)
def test_bad_prompts_are_told_by_file_and_line(tmp_path: Path, name: str, content: bytes, words: str) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(DataError, match=words):
        read(path, "S" if b"mine" in content else "")
    with pytest.raises(DataError, match="nothing\\.txt cannot be read"):
        read(tmp_path / "nothing.txt")


def test_a_file_of_prompts_through_several_adapters(run: Run, alpaca: Path, tmp_path: Path) -> None:
    """Each answer is the one that the adapter gives alone; the base too; in one file, and told how long it took."""
    for name, seed in (("one", 1), ("two", 2)):
        config = RunConfig(
            data=str(alpaca), model="tiny-mistral", max_steps=6, retention=False, name=name, seed=seed,
            learning_rate=2e-2, dtype="fp32", test_split=0.0, val_split=0.0,
        )  # fmt: skip
        carry_out(resolve(config, registry()), registry(), lambda e: None, start=start_in_process)
    questions = ["Name the colour.", "hi", "What a film!"]
    prompts = tmp_path / "p.txt"
    prompts.write_text("\n".join(questions))
    out = tmp_path / "out.jsonl"
    said = run(
        "generate", "one", "--adapter", "two", "--base", "--file", prompts, "--out", out, "--max-new-tokens", "8"
    )
    assert (said.code, said.out) == (0, ""), said.err
    rows = [json.loads(line) for line in out.read_text().splitlines()]
    assert [(row["prompt"], row["adapter"]) for row in rows] == [
        (question, who) for question in questions for who in ("one@1", "two@1", "")
    ]
    for who, name in (("one@1", "one"), ("two@1", "two"), ("", "tiny-mistral")):
        alone = answer.answer(name, questions, registry(), lambda e: None, 8, start=start_in_process)
        assert [row["answer"] for row in rows if row["adapter"] == who] == alone
    assert {row["model"] for row in rows} == {"tiny-mistral"}
    assert all(0 <= row["tokens"] <= 8 and row["ended"] == (row["tokens"] < 8) for row in rows if row["ended"])
    assert "tiny-mistral loaded in" in said.err
    assert re.search(r"2 adapters in [\d,]+ ms; 3 prompts, 9 answers, \d+ tokens in .* tokens/s\)", said.err)
    assert "in common batches: tiny-mistral, one@1, two@1" in said.err
    again = run("generate", "one", "--file", prompts, "--out", out)
    assert (again.code, "exists already" in again.err) == (2, True)
    several = run(
        "generate", "tiny-mistral", "hi", "--adapter", "one", "--adapter", "two", "--json", "--max-new-tokens", "8"
    )
    found = json.loads(several.out)
    assert [(row["adapter"], row["answer"]) for row in found["answers"]] == [
        (row["adapter"], row["answer"]) for row in rows if row["prompt"] == "hi" and row["adapter"]
    ]
    assert found["timings"]["load"] > 0


def test_flags_that_do_not_go_together(run: Run, tmp_path: Path) -> None:
    for arguments, words in (
        (("tiny-falcon",), "give one PROMPT, or a file of them by --file"),
        (("tiny-falcon", "hi", "--file", "p.txt"), "give one PROMPT, or a file of them by --file"),
        (("tiny-falcon", "hi", "--top-p", "0.5"), "--top-p is for sampling: say --temperature too"),
        (("tiny-falcon", "hi", "--temperature", "1", "--top-p", "0"), "--top-p must be above 0"),
        (("tiny-falcon", "hi", "--out", tmp_path / "no" / "o.jsonl"), "there is no folder"),
        (("tiny-falcon", "hi", "--out", tmp_path / "o.doc"), "its ending is of no known kind"),
        (("tiny-falcon", "hi", "--adapter", "nobody"), "unknown adapter 'nobody'"),
        (("tiny-falcon", "--file", tmp_path / "none.txt"), "none.txt cannot be read"),
    ):
        refused = run("generate", *arguments)
        assert (refused.code, refused.out) == (2, "")
        assert words in refused.err
