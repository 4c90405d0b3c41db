"""Judgement on the built-in models, from advice to repair, by the command line alone: ``make judgement``.

Every step is one or a few commands with ``--json``; what they printed is kept in ``OUT/steps`` and not done again, and
``OUT/report.md`` is made of it. Nothing is written into the report that stands in no step.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tarfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from report import write

HERE = Path(__file__).resolve().parent
DATA = HERE / "data"
SHIPPED = HERE.parents[1] / "registry" / "graftlm_registry" / "demo_data"
OLD = SHIPPED / "old-skills" / "train.jsonl"
TINY = ("tiny-mistral", "tiny-qwen", "tiny-glm", "tiny-falcon")
SIZES = "50,100,200,400"


@dataclass(frozen=True)
class Bench:
    """The folder of the results, and graftlm as a command with a home of its own in it."""

    out: Path

    def graftlm(self, *arguments: object) -> Any:
        """What a command prints as JSON. A failed comparison prints too."""
        command = [sys.executable, "-m", "graftlm", *map(str, arguments)]
        said = subprocess.run(
            command, env={**os.environ, "GRAFTLM_HOME": str(self.out / "home")}, capture_output=True, text=True
        )
        if not said.stdout.strip():
            raise SystemExit(f"{' '.join(command[2:])}\n{said.stderr}")
        return json.loads(said.stdout.strip().splitlines()[-1])

    def step(self, name: str, work: Callable[[], Any]) -> Any:
        """A step's result, done once."""
        path = self.out / "steps" / f"{name}.json"
        if path.is_file():
            return json.loads(path.read_text(encoding="utf-8"))
        began = time.monotonic()
        found = work()
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
        print(f"{name}: {time.monotonic() - began:.0f} s", flush=True)
        return found


def advice(bench: Bench) -> None:
    """A task that examples solve, one of 20 classes, one of knowledge, and one that wants steps; on two models."""
    for name, data in (
        ("shift", DATA / "shift"), ("subjects", SHIPPED / "subjects"), ("facts", DATA / "facts"),
        ("sums", DATA / "sums"),
    ):  # fmt: skip
        for model in ("tiny-mistral", "tiny-qwen"):
            bench.step(f"advise-{name}-{model}", lambda: bench.graftlm("advise", data, "--model", model, "--json"))  # noqa: B023


def advice_followed(bench: Bench) -> None:
    """What was recommended, done: the prompt on unseen rows, tuning, and facts put into the prompt."""
    for model in ("tiny-mistral", "tiny-qwen"):
        for name, data in (
            ("subjects", SHIPPED / "subjects"), ("facts", DATA / "facts"),
            ("facts-retrieved", DATA / "facts-retrieved"),
        ):  # fmt: skip
            more = ("--max-steps", "300", "--learning-rate", "0.003") if name == "facts-retrieved" else ()
            flags = ("--model", model, "--name", f"{name}-{model}", *more, "--json")
            bench.step(f"train-{name}-{model}", lambda: bench.graftlm("train", data, *flags))  # noqa: B023
        for name, data in (("shift", DATA / "shift"), ("subjects", SHIPPED / "subjects")):
            unseen = unseen_as_validation(bench, name, data)
            bench.step(f"prompted-{name}-{model}", lambda: bench.graftlm("advise", unseen, "--model", model, "--json"))  # noqa: B023


def unseen_as_validation(bench: Bench, name: str, data: Path) -> Path:
    """The same data, the test rows in the validation's place: for the last word on a prompt that was chosen before."""
    folder = bench.out / "unseen" / name
    folder.mkdir(parents=True, exist_ok=True)
    for split, source in (("train", "train"), ("validation", "test")):
        (folder / f"{split}.jsonl").write_bytes((data / f"{source}.jsonl").read_bytes())
    return folder


def gap(bench: Bench) -> None:
    """Rows that the gap asks for, against as many at random."""
    script = HERE / "gap_pool.py"
    folder = bench.out / "gap-pool"

    def work() -> Any:
        home = {"GRAFTLM_HOME": str(bench.out / "home")}
        subprocess.run([sys.executable, str(script), "--out", str(folder)], check=True, env={**os.environ, **home})
        return json.loads((folder / "result.json").read_text(encoding="utf-8"))

    bench.step("gap-pool", work)


def cures(bench: Bench) -> None:
    """Nothing against forgetting, and each cure against it."""
    sentiment = SHIPPED / "sentiment"
    for seed in (0, 1, 2):
        compared(bench, f"replay-{seed}", sentiment, "--model", "tiny-mistral", "--max-steps", 200, "--seed", seed,
                 "--replay", "none", "--replay", OLD)  # fmt: skip
    compared(bench, "bigger-base", sentiment, "--model", "tiny-qwen", "--model", "small-qwen", "--max-steps", 200,
             "--retention", "--seed", 0)  # fmt: skip

    def repaired() -> Any:
        bench.graftlm("train", sentiment, "--model", "tiny-mistral", "--max-steps", 200, "--name", "mended", "--json")
        return bench.graftlm("repair", "mended", "--skill", OLD, "--json")

    bench.step("repair", repaired)


def comparisons(bench: Bench) -> None:
    """Four bases on one task; the same with less data; two skills at once and apart."""
    subjects = SHIPPED / "subjects"
    compared(bench, "four-bases", subjects, *(word for model in TINY for word in ("--model", model)))
    compared(bench, "data-size", subjects, "--model", "tiny-mistral", "--data-size", SIZES)
    mixed = bench.out / "mixed.jsonl"
    if not mixed.is_file():
        parts = [bench.out / f"{name}.jsonl" for name in ("sentiment", "subjects")]  # a name is a capability's
        for part in parts:
            part.write_bytes((SHIPPED / part.stem / "train.jsonl").read_bytes())
        command = [sys.executable, "-m", "graftlm", "data", "mix", *map(str, parts), "--out", str(mixed)]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    compared(bench, "capabilities", mixed, "--model", "tiny-qwen", "--each-capability", "--test-split", "0.2")


def compared(bench: Bench, name: str, data: Path, *flags: object) -> Any:
    folder = bench.out / "compare" / name
    return bench.step(name, lambda: bench.graftlm("compare", data, *flags, "--out", folder, "--json"))


def publish(out: Path, report: Path) -> Path:
    """The report, and one archive of all that its figures come from."""
    target = HERE.parent / "results" / f"{date.today():%Y-%m-%d}-judgement"
    target.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(report, target / report.name)
    kept = ("steps", "gap-pool", "compare/*/suite.json", "compare/*/runs", "compare/*/samples", "compare/*/report.md",
            "home/cache/scores", "home/runs/*/samples")  # fmt: skip
    with tarfile.open(target / "everything.tar.xz", "w:xz") as archive:
        for path in sorted(found for pattern in kept for found in out.glob(pattern)):
            archive.add(path, arcname=str(path.relative_to(out)))
    return target


PARTS = (advice, advice_followed, cures, comparisons, gap)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--publish", action="store_true", help="put it into benchmarks/results, packed")
    parser.add_argument("--only", choices=[part.__name__ for part in PARTS])
    given = parser.parse_args(arguments)
    bench = Bench(given.out.resolve())
    for part in PARTS:
        if given.only in (None, part.__name__):
            part(bench)
    report = write(bench.out)
    print(publish(bench.out, report) if given.publish else report)


if __name__ == "__main__":
    main()
