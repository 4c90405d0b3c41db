"""A disk that is full, and a store that is taken away, while a run trains: one sentence, and nothing is lost."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from stopped_runs import differences, plan_of, whole

from graftlm.contracts.errors import StoreError
from graftlm.running.supervise import supervise
from graftlm.running.train import prepare
from graftlm.testing.in_process import start_in_process
from graftlm_registry.adapters import open_store
from graftlm_registry.plugins import registry

HERE = Path(__file__).resolve().parent
MOUNTED = 'mount -t tmpfs -o size=24m none "$1" || exit 99; shift; exec "$@"'
SHORT = "second checkpoint"
MOMENTS = ("encode", "first step", "second checkpoint", "staging", "publishing")


@pytest.fixture
def full(home: Path, alpaca: Path, tmp_path: Path) -> Callable[[str], dict[str, Any]]:
    if not shutil.which("unshare"):
        pytest.skip("there is no unshare here")

    def call(moment: str) -> dict[str, Any]:
        disk = tmp_path / "disk"
        disk.mkdir()
        inner = f'mkdir "$1/cache" && cp -rL {home}/probes "$1/" && exec "$2" {HERE}/full_disk.py "$1" {alpaca} "$3"'
        command = ["unshare", "-rm", "sh", "-c", MOUNTED, "sh", str(disk), "sh", "-c", inner, "sh", str(disk)]
        done = subprocess.run(
            [*command, sys.executable, moment],
            env={**os.environ, "OMP_NUM_THREADS": "1"}, capture_output=True, text=True, check=False, timeout=600,
        )  # fmt: skip
        if done.returncode in (1, 99) and "Traceback" not in done.stderr:
            pytest.skip(f"mounts cannot be made here: {done.stderr.strip()}")
        assert done.returncode == 0, done.stdout + done.stderr
        found: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
        return found

    return call


@pytest.mark.parametrize("moment", [pytest.param(m, marks=() if m == SHORT else pytest.mark.slow) for m in MOMENTS])
def test_a_full_disk(full: Callable[[str], dict[str, Any]], moment: str, figures: Callable[[str], None]) -> None:
    """A real one of 24 MB. Where training can go on it does; once there is room the run ends with the same."""
    found = full(moment)
    assert found["same"]
    assert found["kept"]
    assert found["published"] == 1
    assert found["left"] == []
    assert "No space left" in found["said"] or "the disk is full" in found["said"] or moment == "publishing", found
    assert found["kind"] in ("StoreError", ""), found
    assert len(found["said"].split("\n")) <= 2, found["said"]
    if moment in ("second checkpoint", "staging"):
        assert "graftlm runs resume" in found["said"]
        assert found["newest"] == {"second checkpoint": 2, "staging": 6}[moment]
    assert sum("cannot be written" in text for text in found["warnings"]) <= 1
    figures(
        f"full from '{moment}' on: steps {found['steps']}, checkpoints {found['checkpoints']}, said {found['said']!r}, "
        f"warned {found['warnings']}; with room again gone on after {found['resumed']} to the same"
    )


def taken_away(rows: Path, what: Path, at: Mapping[str, Any]) -> None:
    """Away while the run trains, one sentence; back again, the same end."""
    plan = plan_of(rows, keep="best")
    one = whole(plan)
    run = prepare(plan, registry())
    away = what.with_name("away")

    def hear(event: Mapping[str, Any]) -> None:
        if not away.exists() and all(event.get(key) == value for key, value in at.items()):
            what.rename(away)

    with pytest.raises(StoreError) as error:
        supervise(run, registry(), hear)
    assert "no longer there" in str(error.value)
    assert error.value.exit_code == 2
    assert not what.exists(), f"it was begun anew: {sorted(what.rglob('*'))[:9]}"
    away.rename(what)
    made = supervise(run, registry(), lambda event: None, start=start_in_process).outcome
    assert differences(one, made) == {}
    assert len([record for record in open_store().records(pytest.fail) if record.run == run.name]) == 1


@pytest.mark.slow
@pytest.mark.parametrize("step", [2, 5])
def test_a_home_that_is_taken_away(home: Path, alpaca: Path, step: int) -> None:
    taken_away(alpaca, home, {"event": "metric", "step": step})


def test_a_store_that_is_taken_away(home: Path, alpaca: Path) -> None:
    taken_away(alpaca, open_store().root, {"event": "metric", "step": 3})
