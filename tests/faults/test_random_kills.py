"""kill -9 at random moments: the same losses and the same adapter, published once, and nothing damaged on the way."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from faults_counts import count

HERE = Path(__file__).resolve().parent


def campaign(home: Path, kills: int, seed: int, figures: Callable[[str], None]) -> dict[str, Any]:
    command = [sys.executable, str(HERE / "random_kills.py"), str(kills), str(seed), str(home)]
    done = subprocess.run(
        command, env={**os.environ, "OMP_NUM_THREADS": "1"}, capture_output=True, text=True, check=False, timeout=1800
    )
    last = done.stdout.strip().splitlines()[-1:] or ["{}"]
    assert done.returncode == 0, f"seed {seed}: {last[0]}\n{done.stderr[-4000:]}"
    found: dict[str, Any] = json.loads(last[0])
    figures(
        f"seed {seed}: {sum(found['kills'].values())} kills {found['kills']} in {found['runs']} runs, by what was told "
        f"last {found['phases']}; {found['resumes']} resumes, {found['verified']} checkpoints verified, "
        f"{found['cut_short']} half-written ones passed over; same digests and losses, one version each"
    )
    return found


def test_killed_at_random(home: Path, figures: Callable[[str], None]) -> None:
    kills = count(short=4, whole=100)
    found = campaign(home, kills, random.SystemRandom().randrange(1 << 31), figures)
    assert sum(found["kills"].values()) >= kills


@pytest.mark.slow
def test_real_processes_killed_at_random(home: Path, alpaca: Path, figures: Callable[[str], None]) -> None:
    """``half_hour.py`` for a quarter of a minute: nothing is forked, every process starts as a user's does."""
    command = [sys.executable, str(HERE / "half_hour.py"), "--minutes", "0.25", "--kills", "4", "--folder", str(home)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=900)
    assert done.returncode == 0, done.stdout + done.stderr
    figures(done.stdout.strip().replace("\n", "; "))
