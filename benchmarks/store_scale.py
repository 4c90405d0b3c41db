"""A store of many adapters: does publishing slow down, and how long do the reading commands take?

    python benchmarks/store_scale.py [--adapters 10000] [--out FILE.json]

Adapters are made by hand (no training), half of them versions of one name, the others names of their own. What a
command takes is told beside what `graftlm --version` takes, run in turns with it, as machines are noisy.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from kept_adapters import publish

from graftlm.version import __version__
from graftlm_registry.adapters import AdapterStore
from graftlm_registry.adapters.index import opened

ROUNDS = 5
PUBLISHED = 150
COMMANDS = {
    "version": ("--version",),
    "list": ("adapters", "list"),
    "list --json": ("adapters", "list", "--json"),
    "list --tag best": ("adapters", "list", "--tag", "best"),
    "list --base none": ("adapters", "list", "--base", "none"),
    "show NAME": ("adapters", "show", "many", "--json"),
    "show NAME@TAG": ("adapters", "show", "many@best", "--json"),
}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--adapters", type=int, default=10_000)
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as home:
        said = measure(Path(home), given.adapters)
    text = json.dumps(said, indent=2)
    print(text)
    if given.out:
        given.out.write_text(text + "\n", encoding="utf-8")


def measure(home: Path, count: int) -> dict[str, object]:
    """The large store beside one of a hundred adapters: both publish in turns."""
    store, small = AdapterStore(home / "store"), AdapterStore(home / "small")
    for each, size in ((small, 100), (store, count)):
        for i in range(size):
            publish(each, name="many" if i % 2 else f"own-{i}", run=f"run-{i}", seed=i)
    store.tag("many@7", "best")
    took: dict[str, list[float]] = {"small": [], "one name": [], "own names": []}
    for i in range(count, count + PUBLISHED):
        for kind, each, name in (
            ("small", small, f"own-{i}"), ("own names", store, f"own-{i}"), ("one name", store, "many"),
        ):  # fmt: skip
            started = time.perf_counter()
            publish(each, name=name, run=f"run-{kind}-{i}", seed=2 * i + (kind == "one name"))
            took[kind].append(time.perf_counter() - started)
    middle = {kind: statistics.median(each) for kind, each in took.items()}
    started = time.perf_counter()
    with opened(store.layout):
        made = time.perf_counter() - started
    return {
        "date": datetime.now(UTC).date().isoformat(),
        "graftlm": __version__,
        "python": platform.python_version(),
        "machine": f"{platform.machine()}, {os.cpu_count()} cores",
        "adapters": count,
        "publish, over a store of 100 (ratio of medians, in turns)": {
            kind: round(middle[kind] / middle["small"], 3) for kind in ("own names", "one name")
        },
        "publish, median ms": {kind: round(1000 * each, 2) for kind, each in middle.items()},
        "index made anew, s": round(made, 2),
        "commands, s (median, and over --version)": commands(home),
    }


def commands(home: Path) -> dict[str, tuple[float, float]]:
    environ = {**os.environ, "GRAFTLM_HOME": str(home)}
    environ.pop("PYTHONDONTWRITEBYTECODE", None)
    took: dict[str, list[float]] = {name: [] for name in COMMANDS}
    for _ in range(ROUNDS + 1):
        for name, arguments in COMMANDS.items():
            started = time.perf_counter()
            subprocess.run([sys.executable, "-m", "graftlm", *arguments], env=environ, check=True, capture_output=True)
            took[name].append(time.perf_counter() - started)
    middle = {name: statistics.median(each[1:]) for name, each in took.items()}
    return {name: (round(value, 3), round(value / middle["version"], 2)) for name, value in middle.items()}


if __name__ == "__main__":
    main()
