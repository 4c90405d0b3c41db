"""``graftlm train`` with its two own backends against the same script written by hand, in turn in one run.

Two figures: the time from the command's start to the first finished step, and the median time of a step after the
first ten. Rounds are interleaved; ratios and differences are taken within a round, and their medians are printed.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from results import keep

from graftlm_registry.demos import demo_data
from graftlm_registry.models import catalogue

MODEL = "tiny-mistral"
BIN = Path(sys.executable).parent


def by_hand(data: Path, steps: int, device: str, folder: Path) -> tuple[float, list[float]]:
    model = catalogue().entry(MODEL).folder
    script = Path(__file__).with_name("by_hand.py")
    began = time.time()
    command = [sys.executable, str(script), str(data), str(model), str(steps), str(folder / "out"), device]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return began, json.loads(done.stdout.strip().splitlines()[-1])["steps"]


def graftlm(backend: str, data: Path, steps: int, device: str, folder: Path) -> tuple[float, list[float]]:
    began = time.time()
    command = [
        str(BIN / "graftlm"), "train", str(data), "--model", MODEL, "--backend", backend, "--max-steps", str(steps),
        "--batch-size", "16", "--micro-batch", "16", "--val-split", "0", "--test-split", "0", "--no-retention",
        "--device", device, "--warmup", "0", "--json",
    ]  # fmt: skip
    subprocess.run(command, check=True, capture_output=True, env={**os.environ, "GRAFTLM_HOME": str(folder)})
    run = max((folder / "runs").iterdir(), key=lambda path: path.stat().st_mtime)
    events = map(json.loads, (run / "events.jsonl").read_text().splitlines())
    return began, [event["time"] for event in events if event["event"] == "metric"]


def figures(began: float, times: list[float]) -> dict[str, float]:
    gaps = [b - a for a, b in itertools.pairwise(times[10:])]
    return {"first_step": times[0] - began, "step": statistics.median(gaps)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--device", default="cpu", choices=("cpu", "cuda"))
    given = parser.parse_args()
    data = demo_data("sentiment").train
    rounds: list[dict[str, dict[str, float]]] = []
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        graftlm("peft", data, 12, given.device, folder)  # the device probe, and a warm file cache
        for number in range(given.rounds):
            rounds.append({"by hand": figures(*by_hand(data, given.steps, given.device, folder))})
            for backend in ("trainer", "peft"):
                rounds[-1][backend] = figures(*graftlm(backend, data, given.steps, given.device, folder))
            print(f"round {number + 1} of {given.rounds}", file=sys.stderr)
    found = {}
    for name in rounds[0]:
        start = statistics.median(r[name]["first_step"] for r in rounds)
        later = statistics.median(r[name]["first_step"] - r["by hand"]["first_step"] for r in rounds)
        step = statistics.median(r[name]["step"] for r in rounds)
        ratio = statistics.median(r[name]["step"] / r["by hand"]["step"] for r in rounds)
        found[name] = {
            "first_step_s": round(start, 2), "later_s": round(later, 2), "step_ms": round(step * 1000, 2),
            "step_ratio": round(ratio, 3),
        }  # fmt: skip
        print(f"{name:8}  first step after {start:5.1f} s ({later:+.1f})  a step {step * 1000:6.1f} ms  {ratio:.2f}x")
    keep("training", {"model": MODEL, "steps": given.steps, "rounds": rounds, "summary": found}, given.device)


if __name__ == "__main__":
    main()
