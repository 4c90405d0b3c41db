"""What holds for every backend that has an environment: one plan, one proof, one way to fail."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import psutil
import pytest

pytestmark = [pytest.mark.environments, pytest.mark.usefixtures("environments")]
Cli = Callable[..., CompletedProcess[str]]
BACKENDS = ("trl", "unsloth", "llamafactory")
COLOURS = Path(__file__).resolve().parents[1] / "data" / "colours.jsonl"


@pytest.fixture(scope="module")
def olmo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny random model of an architecture that only the third party's family claims."""
    import torch
    from tokenizers import Tokenizer
    from transformers import Olmo2Config, Olmo2ForCausalLM

    from graftlm_registry.models import catalogue

    tokenizer = catalogue().entry("tiny-mistral").tokenizer / "tokenizer.json"
    folder = tmp_path_factory.mktemp("models") / "acme-tiny"
    torch.manual_seed(0)
    config = Olmo2Config(
        vocab_size=Tokenizer.from_file(str(tokenizer)).get_vocab_size(), hidden_size=32, intermediate_size=64,
        num_hidden_layers=2, num_attention_heads=2, num_key_value_heads=2, max_position_embeddings=256,
    )  # fmt: skip
    Olmo2ForCausalLM(config).save_pretrained(folder)
    shutil.copy(tokenizer, folder)
    return folder


def short(run: Cli, *arguments: str | Path, **variables: str) -> CompletedProcess[str]:
    return run(
        "train", COLOURS, "--max-steps", "10", "--batch-size", "8", "--micro-batch", "4", "--learning-rate", "2e-3",
        "--dtype", "fp32", "--device", "cpu", "--no-retention", "--json", *arguments, **variables,
    )  # fmt: skip


def outcome(done: CompletedProcess[str]) -> dict[str, Any]:
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])["outcome"]
    return found


@pytest.mark.parametrize("backend", BACKENDS)
def test_it_trains_and_graftlm_answers_with_what_it_made(backend: str, run: Cli) -> None:
    """The adapter is the base environment's: generated from, gone on from by the ``peft`` backend."""
    done = run(
        "train", COLOURS, "--model", "tiny-qwen", "--backend", backend, "--name", f"of-{backend}", "--no-retention"
    )
    assert done.returncode == 0, done.stderr
    assert "proved: it changes the outputs" in done.stdout
    asked = run("generate", f"of-{backend}", "What colour is grass?")
    assert asked.stdout.strip() == "green"
    on = outcome(short(run, "--from-adapter", f"of-{backend}", "--backend", "peft", "--name", f"on-{backend}"))
    assert on["losses"][0] < 0.1


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_stranger_s_family_trains_with_it(backend: str, run: Cli, olmo: Path) -> None:
    found = outcome(short(run, "--model", olmo, "--backend", backend, "--name", f"acme-{backend}"))
    peft = outcome(short(run, "--model", olmo, "--backend", "peft", "--name", "acme-peft"))
    assert found["losses"] == pytest.approx(peft["losses"], abs=2e-4)
    assert found["effective"]["backend"] == backend


@pytest.mark.parametrize("backend", BACKENDS)
def test_ctrl_c_reaches_it(backend: str, environments: Path, installed: Path) -> None:
    """The front is interrupted while the other environment's worker trains; both leave, and nothing is published."""
    environ = {**os.environ, "GRAFTLM_HOME": str(environments), "PYTHONPATH": str(installed)}
    command = [
        sys.executable, "-m", "graftlm", "train", str(COLOURS), "--model", "tiny-qwen", "--backend", backend,
        "--name", f"stopped-{backend}", "--max-steps", "100000", "--no-retention",
    ]  # fmt: skip
    before = {run.name for run in (environments / "runs").glob("*")}
    process = subprocess.Popen(
        command, env=environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        preexec_fn=partial(signal.signal, signal.SIGINT, signal.SIG_DFL),  # tests in the background ignore it
    )  # fmt: skip
    log = _metrics(environments, before, process)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=120)
    assert process.returncode == 130, said
    assert "nothing was published" in said
    assert "Traceback" not in said
    workers = (" ".join(p.info["cmdline"] or ()) for p in psutil.process_iter(["cmdline"]))
    assert not [line for line in workers if log.parent.name in line]


def _metrics(home: Path, before: set[str], process: subprocess.Popen[str]) -> Path:
    """The new run's events, once a step is told."""
    for _ in range(600):
        for run in (home / "runs").glob("*"):
            events = run / "events.jsonl"
            if run.name not in before and events.is_file() and '"metric"' in events.read_text(encoding="utf-8"):
                return events
        assert process.poll() is None, process.communicate()[1]
        time.sleep(0.2)
    raise AssertionError("no step was told within two minutes")


@pytest.mark.parametrize("backend", BACKENDS)
def test_without_the_environment_the_error_names_the_command_and_its_size(
    backend: str, run: Cli, tmp_path: Path
) -> None:
    done = short(run, "--model", "tiny-qwen", "--backend", backend, GRAFTLM_HOME=str(tmp_path))
    assert done.returncode == 2
    assert f"run: graftlm envs create {backend}, which downloads about " in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


@pytest.mark.parametrize("backend", BACKENDS)
def test_the_check_finds_it_sound(backend: str, run: Cli) -> None:
    done = run("envs", "check", backend)
    assert done.returncode == 0, done.stderr
    assert "is sound" in done.stdout
