"""``graftlm generate``: in whose words a model is asked, and what an adapter's record has decided."""

from __future__ import annotations

import json
import os
import shutil
import signal
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from conftest import Said

from graftlm.contracts.config import RunConfig
from graftlm.contracts.job import GenerateJob
from graftlm.contracts.serial import from_json
from graftlm.planning.resolve import resolve
from graftlm.running import answer
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
        (("--system", "\udcff"), "--system is not UTF-8 text"),
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
