"""Every kind of plugin from nothing, as a stranger makes it: in a fresh environment, with the time that each takes.

    python tests/kit/fresh_environment.py [--kind KIND …] [--keep FOLDER]

For each kind: graftlm plugins new, pip install -e, pytest, graftlm plugins check.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from time import perf_counter

from graftlm.scaffolds.writing import KINDS, Names

ROOT = Path(__file__).resolve().parents[2]
GOAL = 180.0
"""Seconds for one kind."""


def run(*command: str | Path, at: Path, home: Path) -> tuple[float, str]:
    """Seconds that it took, and why it failed (or nothing). The environment is nobody's but the plugin's."""
    variables = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "GRAFTLM_HOME", "VIRTUAL_ENV")}
    began = perf_counter()
    done = subprocess.run(
        list(map(str, command)), cwd=at, env={**variables, "GRAFTLM_HOME": str(home)}, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    said = f"{' '.join(map(str, command))}\n{done.stdout[-3000:]}{done.stderr[-3000:]}" if done.returncode else ""
    return perf_counter() - began, said


def make(folder: Path) -> Path:
    """An environment with graftlm[peft] from this checkout, and what tests need; the folder of its programs."""
    bin_ = folder / "venv" / "bin"
    if not bin_.is_dir():
        install = [bin_ / "python", "-m", "pip", "install", "-q", "--disable-pip-version-check"]
        pinned = ["-c", ROOT / "constraints.txt"]
        for command in (
            [sys.executable, "-m", "venv", bin_.parent],
            [*install, *pinned, "torch", "hatchling"],
            [*install, *pinned, f"{ROOT}[peft]", "pytest", "hypothesis"],
        ):
            seconds, failed = run(*command, at=folder, home=folder / "home")
            if failed:
                sys.exit(failed)
            print(f"{seconds:6.1f} s  {' '.join(Path(word).name for word in map(str, command))}", flush=True)
    return bin_


def judge(kind: str, bin_: Path, folder: Path) -> bool:
    """Whether all that a stranger does is green, and within the time."""
    names, total, parts = Names(kind, f"acme-{kind}"), 0.0, []
    pip = [bin_ / "python", "-m", "pip", "--disable-pip-version-check", "-q"]
    chain = {
        "new": [bin_ / "graftlm", "plugins", "new", kind, names.name],
        "install": [*pip, "install", "-e", f"./{names.distribution}"],
        "pytest": [bin_ / "pytest", "-q", names.distribution],
        "check": [bin_ / "graftlm", "plugins", "check", f"{kind}/{names.name}"],
    }
    for step, command in chain.items():
        seconds, failed = run(*command, at=folder, home=folder / "home")
        if failed:
            print(f"{kind}: {step} failed: {failed}", flush=True)
            return False
        total += seconds
        parts.append(f"{step} {seconds:.1f}")
    print(f"{total:6.1f} s  {kind:13} {', '.join(parts)}{'' if total < GOAL else '  TOO LONG'}", flush=True)
    run(*pip, "uninstall", "-y", names.distribution, at=folder, home=folder / "home")  # the next one is judged alone
    return total < GOAL


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kind", action="append", choices=KINDS, help="only these")
    parser.add_argument("--keep", type=Path, help="make it here, keep it, and take an environment that is here already")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="graftlm-fresh-") as temporary:
        folder = (asked.keep or Path(temporary)).resolve()
        folder.mkdir(parents=True, exist_ok=True)
        bin_ = make(folder)
        green = [judge(kind, bin_, folder) for kind in asked.kind or KINDS]
    print(f"{sum(green)} of {len(green)} kinds are green, each within {GOAL:.0f} s")
    sys.exit(not all(green))


if __name__ == "__main__":
    main()
