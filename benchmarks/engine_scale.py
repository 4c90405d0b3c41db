"""How the engine's cost grows: ``python engine_scale.py MODEL``, the folder of ``engine_model.py``.

Three series, each in turn over several rounds: packed rows of 256 to 8,192 tokens made of samples of 128, samples of
256 to 8,192 tokens, and a thousand to a million rows of data. The first must cost the same a token, the second what
attention adds, the third must take no more memory in the worker.
"""

from __future__ import annotations

import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from results import keep

WORDS = ("stone", "river", "lamp", "green", "seven", "bread", "window", "paper", "quiet", "north", "salt", "wheel")
TOKENS = 8192
"""Of an optimizer step, in the first two series."""
ROUNDS, STEPS, WARMUP = 3, 4, 1
LENGTHS = (256, 512, 1024, 2048, 4096, 8192)
ROWS = (1_000, 10_000, 100_000, 1_000_000)


def documents(path: Path, count: int = 12) -> Path:
    """Texts that are cut into samples of any length asked for."""
    draw = random.Random(7)
    lines = (json.dumps({"text": " ".join(draw.choices(WORDS, k=9_000))}) + "\n" for _ in range(count))
    path.write_text("".join(lines), encoding="utf-8")
    return path


def rows(path: Path, count: int) -> Path:
    draw = random.Random(7)
    with path.open("w", encoding="utf-8") as file:
        for number in range(count):
            chosen = draw.choices(WORDS, k=draw.randint(3, 12))
            row = {"instruction": f"Say number {number} backwards.", "input": " ".join(chosen), "output": chosen[-1]}
            file.write(json.dumps(row) + "\n")
    return path


def trained(data: Path, model: str, home: Path, *settings: str) -> dict[str, Any]:
    """The outcome of one run, with the steps' seconds and tokens after the warm-up."""
    command = [
        sys.executable, "-m", "graftlm", "train", str(data), "--model", model, "--template", "qwen3", "--device", "cpu",
        "--val-split", "0", "--test-split", "0", "--no-retention", "--max-steps", str(STEPS), "--json", *settings,
    ]  # fmt: skip
    done = subprocess.run(
        command, check=True, capture_output=True, text=True, env={**os.environ, "GRAFTLM_HOME": str(home)}
    )
    outcome: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])["outcome"]
    events = (home / "runs" / outcome["run"] / "events.jsonl").read_text(encoding="utf-8").splitlines()
    steps = [event for event in map(json.loads, events) if event["event"] == "metric"][WARMUP:]
    rate = sum(step["tokens"] for step in steps) / sum(step["seconds"] for step in steps)
    return {"tokens_per_second": rate, "memory": outcome["memory"]["peak"], "machine": outcome["effective"]["machine"]}


def main(model: str) -> None:
    found: dict[str, dict[int, list[dict[str, Any]]]] = {"row": {}, "sample": {}, "rows": {}}
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        texts, home = documents(folder / "texts.jsonl"), folder / "home"
        for number in range(ROUNDS):
            for length in LENGTHS:
                cut = ("--tokens-per-step", str(TOKENS), "--dtype", "bf16", "--train-on", "all")
                row = trained(texts, model, home, *cut, "--max-length", "128", "--micro-batch", str(length // 128))
                long = trained(
                    texts, model, home, *cut, "--max-length", str(length), "--micro-batch", str(TOKENS // length)
                )
                found["row"].setdefault(length, []).append(row)
                found["sample"].setdefault(length, []).append(long)
            print(f"round {number + 1} of {ROUNDS}", file=sys.stderr)
        for count in ROWS:
            data = rows(folder / f"{count}.jsonl", count)
            found["rows"][count] = [trained(data, model, home, "--batch-size", "8", "--overlong", "drop")]
            data.unlink()
            print(f"{count:,} rows", file=sys.stderr)
    said = {
        name: {
            str(key): {
                "tokens_per_second": round(statistics.median(run["tokens_per_second"] for run in runs)),
                "peak_memory_mib": round(max(run["memory"] for run in runs) / 2**20),
            }
            for key, runs in series.items()
        }
        for name, series in found.items()
    }
    keep("engine-scale", said)
    print(json.dumps(said, indent=2))


if __name__ == "__main__":
    main(sys.argv[1])
