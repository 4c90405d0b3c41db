"""How long the command line takes to start, against ``python -c "import click, pluggy"``, in turn in one run.

Prints the median of each and the median of the ratios, pair by pair, and keeps them in ``benchmarks/results``.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

from results import keep

ROUNDS = 25
SCRIPT = Path(sys.executable).with_name("graftlm")
COMMANDS = {
    "import click, pluggy": [sys.executable, "-c", "import click, pluggy"],
    "graftlm --help": [str(SCRIPT), "--help"],
    "graftlm plugins list": [str(SCRIPT), "plugins", "list"],
}
ENVIRONMENT = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
"""As a user has it: with compiled modules beside the sources."""
LIMITS = {"graftlm --help": 2.0, "graftlm plugins list": 3.0}


def seconds(command: list[str]) -> float:
    began = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True, env=ENVIRONMENT)
    return time.perf_counter() - began


def main() -> None:
    for command in COMMANDS.values():
        seconds(command)  # warm the file cache
    rounds = [{name: seconds(command) for name, command in COMMANDS.items()} for _ in range(ROUNDS)]
    base = "import click, pluggy"
    found = {}
    for name in COMMANDS:
        median = statistics.median(r[name] for r in rounds)
        ratio = statistics.median(r[name] / r[base] for r in rounds)
        found[name] = {"milliseconds": round(median * 1000, 1), "ratio": round(ratio, 2), "limit": LIMITS.get(name)}
        limit = f" (at most {LIMITS[name]:g})" if name in LIMITS else ""
        print(f"{name:24} {median * 1000:6.0f} ms  {ratio:5.2f}x{limit}")
    keep("startup", {"rounds": ROUNDS, "commands": found})


if __name__ == "__main__":
    main()
