"""From a user's own files to an adapter that answers, through the command line and real workers."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from conftest import Said

from graftlm_registry.adapters import open_store
from graftlm_registry.demos import demo_data

Run = Callable[..., Said]
Write = Callable[[str, Sequence[Any]], Path]
COLOURS = {"sky": "blue", "grass": "green", "snow": "white", "coal": "black", "blood": "red", "sun": "yellow"}
PAIRS = [(f"What colour is {'the ' * (i % 2)}{thing}", colour) for i in range(4) for thing, colour in COLOURS.items()]
FORMATS: dict[str, Callable[[str, str], dict[str, Any]]] = {
    "alpaca": lambda q, a: {"instruction": q, "input": "", "output": a},
    "sharegpt": lambda q, a: {"conversations": [{"from": "human", "value": q}, {"from": "gpt", "value": a}]},
    "openai": lambda q, a: {"messages": [{"role": "user", "content": q}, {"role": "assistant", "content": a}]},
    "pairs": lambda q, a: {"question": q, "answer": a},
}


@pytest.mark.parametrize("name", FORMATS)
def test_a_user_s_own_file_becomes_an_adapter_that_answers(run: Run, write_rows: Write, name: str) -> None:
    data = write_rows(f"{name}.jsonl", [FORMATS[name](q, a) for q, a in PAIRS])
    trained = run(
        "train", data, "--model", "tiny-mistral", "--backend", "peft", "--name", "my-skill", "--max-steps", "30",
        "--val-split", "0", "--test-split", "0", "--no-retention", "--json",
    )  # fmt: skip
    assert trained.code == 0, trained.err
    said = json.loads(trained.out)
    outcome = said["outcome"]
    assert said["adapter"] == "my-skill@1"
    assert outcome["first_loss"] == outcome["losses"][0] > outcome["losses"][-1]
    assert outcome["tokens_per_second"] > 0
    assert outcome["effective"]["adapted_layers"] == 28
    shown = run("adapters", "show", "my-skill")
    assert shown.code == 0
    assert "tiny-mistral" in shown.out
    assert run("plan", data, "--model", "tiny-mistral").out.count(f"format        {name}") == 1
    answered = run("generate", "my-skill", "What colour is snow")
    assert (answered.code, answered.out) == (0, "white\n")


def test_the_python_api_is_the_same_thing(home: Path, alpaca: Path) -> None:
    import graftlm

    settings = {"data": alpaca, "model": "tiny-falcon", "backend": "peft", "max_steps": 2, "retention": False}
    planned = graftlm.plan(**settings)
    outcome = graftlm.train(**settings, name="api")
    assert outcome.adapter == "api@1"
    assert len(outcome.losses) == planned.training.steps == 2
    assert graftlm.plan(**settings).hash == planned.hash
    assert isinstance(graftlm.generate("api", "Name the colour.\nthing 3"), str)


def test_scores_stand_in_the_record_and_their_samples_in_the_run(run: Run, home: Path) -> None:
    data = demo_data("sentiment")
    trained = run(
        "train", data.train, "--val-data", data.validation, "--test-data", data.test, "--model", "tiny-falcon",
        "--max-steps", "4", "--evaluator", "exact-match+perplexity", "--name", "scored", "--json",
    )  # fmt: skip
    assert trained.code == 0, trained.err
    outcome = json.loads(trained.out)["outcome"]
    record = open_store().get("scored")
    metrics = 3 + 2 + 8 * (3 + 1)  # of the new skill; of the text; of each old skill, with what was taught
    assert len(record.scores) == len(outcome["scores"]) == 2 * metrics
    assert len(record.changes) == metrics
    for score in record.scores:
        if score.metric == "exact-match":
            (samples,) = home.glob(
                f"runs/*/samples/{score.role}.{score.evaluation}.{score.evaluator}.{score.moment}.jsonl"
            )
            rows = [json.loads(line) for line in samples.read_text().splitlines()]
            assert len(rows) == score.n
            assert sum(row["right"] for row in rows) / len(rows) == score.value


def test_a_model_answers_without_an_adapter(run: Run) -> None:
    answered = run("generate", "tiny-mistral", "What is the capital of\nFrance")
    assert (answered.code, answered.out) == (0, "Paris\n")


def test_random_weights_of_a_known_shape_train(run: Run, alpaca: Path) -> None:
    trained = run("train", alpaca, "--model", "shape:tiny-falcon", "--max-steps", "2", "--name", "shaped", "--json")
    assert trained.code == 0, trained.err
    assert json.loads(trained.out)["outcome"]["first_loss"] == pytest.approx(6.4, abs=0.5)  # ln(608): it knows nothing


def test_generation_refuses_another_base(run: Run, alpaca: Path, tmp_path: Path) -> None:
    """A record names its base by digest: another model in the same folder is not it."""
    import shutil

    from safetensors.numpy import load_file, save_file

    from graftlm_registry.models import catalogue

    base = tmp_path / "base"
    shutil.copytree(catalogue().entry("tiny-falcon").folder or "", base)
    assert run("train", alpaca, "--model", base, "--max-steps", "2", "--name", "based").code == 0
    weights = load_file(base / "model.safetensors")
    name = sorted(weights)[0]
    save_file({**weights, name: weights[name] + 1}, base / "model.safetensors", metadata={"format": "pt"})
    refused = run("generate", "based", "hello")
    assert refused.code == 2
    assert "not those that this adapter was trained on" in refused.err


def _front(home: Path, *arguments: str | Path) -> subprocess.Popen[str]:
    command = [str(Path(sys.executable).with_name("graftlm")), *map(str, arguments)]
    environment = {**os.environ, "GRAFTLM_HOME": str(home)}
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # tests in the background ignore it
    )  # fmt: skip


def _wait_for_a_step(home: Path) -> None:
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        if any('"metric"' in path.read_text() for path in home.glob("runs/*/events.jsonl")):
            return
        time.sleep(0.05)
    raise AssertionError("no step was trained")


def _worker_pids(home: Path) -> list[int]:
    found = subprocess.run(["pgrep", "-f", f"graftlm.worker.*{home}"], capture_output=True, text=True, check=False)
    return [int(pid) for pid in found.stdout.split()]


LONG = ("--max-steps", "100000", "--warmup", "0", "--name", "long", "--no-retention")


def test_a_worker_that_dies_is_one_sentence(home: Path, alpaca: Path) -> None:
    front = _front(home, "train", alpaca, "--model", "tiny-falcon", *LONG)
    _wait_for_a_step(home)
    for pid in _worker_pids(home):
        os.kill(pid, signal.SIGKILL)
    _, err = front.communicate(timeout=60)
    assert front.returncode == 1
    assert "the worker died (SIGKILL, perhaps out of memory)" in err
    assert "log.txt" in err
    assert "Traceback" not in err


def test_it_trains_from_another_thread(home: Path, alpaca: Path) -> None:
    """A notebook, or a server: only the main thread may set signal handlers, so a library sets none."""
    from concurrent.futures import ThreadPoolExecutor

    import graftlm

    settings = {"data": alpaca, "model": "tiny-falcon", "max_steps": 1, "retention": False, "name": "threaded"}
    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(lambda: graftlm.train(**settings)).result().adapter == "threaded@1"


def test_files_that_changed_after_publishing_are_not_used(run: Run, home: Path, alpaca: Path) -> None:
    assert run("train", alpaca, "--model", "tiny-falcon", "--max-steps", "1", "--name", "kept").code == 0
    settings = open_store().path("kept") / "adapter_config.json"
    settings.write_text(settings.read_text().replace('"lora_alpha": 32', '"lora_alpha": 64'))
    refused = run("generate", "kept", "hello")
    assert refused.code == 2
    assert "not those that were published" in refused.err


def test_a_prompt_that_fills_the_model_is_refused(run: Run) -> None:
    refused = run("generate", "tiny-falcon", "word " * 1100)
    assert refused.code == 2
    assert "in the 1024 positions of this model" in refused.err


def test_one_damaged_record_hides_no_other(run: Run, home: Path, alpaca: Path) -> None:
    for name in ("one", "two"):
        trained = run("train", alpaca, "--model", "tiny-falcon", "--max-steps", "1", "--no-retention", "--name", name)
        assert trained.code == 0
    (home / "store" / "adapters" / "one" / "1.json").write_text("garbage")
    listed = run("adapters", "list")
    assert listed.code == 0
    assert "two@1" in listed.out
    assert "Warning: the record" in listed.err


def test_a_full_disk_is_one_sentence(alpaca: Path) -> None:
    """A real one: a small tmpfs in a mount namespace of its own."""
    script = (
        'set -e; mkdir -p "$1"; mount -t tmpfs -o size=700k tmpfs "$1"; export GRAFTLM_HOME="$1"; code=0; '
        '"$2" train "$3" --model tiny-falcon --max-steps 2 --no-retention || code=$?; exit $code'
    )
    home = alpaca.parent / "small"
    program = Path(sys.executable).with_name("graftlm")
    command = ["unshare", "-rm", "bash", "-c", script, "bash", str(home), str(program), str(alpaca)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if "unshare:" in done.stderr or "mount:" in done.stderr:
        pytest.skip("no mount namespaces here")
    assert done.returncode == 2, done.stderr
    assert "the disk is full" in done.stderr
    assert "Traceback" not in done.stderr
