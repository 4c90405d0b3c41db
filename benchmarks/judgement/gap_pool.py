"""Do the rows that ``graftlm gap --pool`` suggests help more than as many that are drawn at random?

    python benchmarks/judgement/gap_pool.py --out FOLDER [--model tiny-mistral] [--rows 60] [--seeds 5] [--steps 200]

A first adapter is trained on ``subjects-gap/train.jsonl``, which holds one row of 8 of the 20 classes. The command
``graftlm gap`` looks at its validation rows and chooses rows of the pool. Then, for each seed, one adapter is trained
on the training rows and these, and one on the training rows and as many random ones (another draw for each seed, among
the rows that ``gap`` could have chosen); steps, settings and the training's seed are the same. All are asked the test
rows, which nothing before has looked at. Intervals: a bootstrap over test rows and over seeds at once, in pairs.

What was done is kept in FOLDER: the same command goes on where it was stopped. ``result.json`` has every figure,
``samples`` what each adapter said to each test row, and ``gap.json`` what the command said.
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

DATA = Path(__file__).parent / "data" / "subjects-gap"
METRIC = "exact-match"
RESAMPLES = 4000


def lines(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8").splitlines()


def folder_with(out: Path, name: str, more: Sequence[str]) -> Path:
    """The task's splits, with more training rows."""
    folder = out / "data" / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for split in ("validation", "test"):
        shutil.copyfile(DATA / f"{split}.jsonl", folder / f"{split}.jsonl")
    (folder / "train.jsonl").write_text("\n".join([*lines(DATA / "train.jsonl"), *more]) + "\n", encoding="utf-8")
    return folder


def trained(out: Path, name: str, more: Sequence[str], seed: int, args: argparse.Namespace) -> dict[str, Any]:
    """An adapter and what it is worth on each test row; found again where it was made before."""
    kept = out / "cells" / f"{name}-{seed}.json"
    if kept.is_file():
        return dict(json.loads(kept.read_text()))
    import graftlm
    from graftlm.contracts.config import RunConfig
    from graftlm.judging.scoring import Task, score
    from graftlm.judging.subjects import of_stored, rows_of
    from graftlm_registry.plugins import registry

    data = folder_with(out, f"{name}-{seed}", more)
    made = graftlm.train(
        data=str(data), model=args.model, name=f"gap-{name}-{seed}", max_steps=args.steps, seed=seed, retention=False
    )
    subject = of_stored(made.adapter, RunConfig(data=str(data), evaluator=METRIC), registry())
    rows = rows_of(subject.plan, "test", registry())
    scored = score(subject, [Task(name="test", rows=rows)], lambda event: None)[0]
    samples = out / "samples" / f"{name}-{seed}.jsonl"
    samples.parent.mkdir(exist_ok=True)
    shutil.copyfile(scored.folder / f"{METRIC}.jsonl", samples)
    right = [sample["each"][METRIC] for sample in scored.samples(METRIC)]
    cell = {
        "name": name, "seed": seed, "adapter": made.adapter, "training_rows": len(lines(data / "train.jsonl")),
        "loss": made.losses[-1], "right": right, "labels": [row.answer for row in rows],
        "samples": str(samples.relative_to(out)),
    }  # fmt: skip
    kept.parent.mkdir(exist_ok=True)
    kept.write_text(json.dumps(cell))
    print(f"{name} {seed}: {sum(right) / len(right):.0%} of {len(right)} test rows", flush=True)
    return cell


def suggested(out: Path, adapter: str, rows: int) -> tuple[dict[str, Any], list[str]]:
    """What the command says, and the rows that it wrote."""
    chosen, said = out / "suggested.jsonl", out / "gap.json"
    if not said.is_file():
        chosen.unlink(missing_ok=True)
        command = [
            sys.executable, "-m", "graftlm", "gap", str(DATA), "--adapter", adapter, "--pool", str(DATA / "pool.jsonl"),
            "--suggest", str(rows), "--out", str(chosen),
        ]  # fmt: skip
        found = subprocess.run([*command, "--json"], check=True, stdout=subprocess.PIPE, text=True)
        said.write_text(found.stdout, encoding="utf-8")
    return json.loads(said.read_text(encoding="utf-8")), lines(chosen)


def compared(first: Sequence[Sequence[float]], second: Sequence[Sequence[float]]) -> tuple[float, float, float]:
    """Mean of ``second - first`` (seeds x test rows, in pairs) with its 95% interval over rows and seeds."""
    import numpy as np

    differences = np.array(second) - np.array(first)
    draw = np.random.default_rng(0)
    seeds, rows = differences.shape
    means = [
        differences[draw.integers(0, seeds, seeds)][:, draw.integers(0, rows, rows)].mean() for _ in range(RESAMPLES)
    ]
    low, high = np.percentile(means, [2.5, 97.5])
    return float(differences.mean()), float(low), float(high)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--model", default="tiny-mistral")
    parser.add_argument("--rows", type=int, default=60)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=200)
    args = parser.parse_args()
    out: Path = args.out.resolve()
    out.mkdir(parents=True, exist_ok=True)

    first = trained(out, "first", [], 0, args)
    said, chosen = suggested(out, first["adapter"], args.rows)
    taken = {json.dumps(json.loads(line), sort_keys=True) for line in lines(DATA / "train.jsonl")}
    pool = [line for line in lines(DATA / "pool.jsonl") if json.dumps(json.loads(line), sort_keys=True) not in taken]
    by_name: dict[str, list[dict[str, Any]]] = {"first": [first], "suggested": [], "random": []}
    drawn: list[dict[str, int]] = []
    for seed in range(args.seeds):
        by_chance = random.Random(seed).sample(pool, len(chosen))
        drawn.append(dict(Counter(json.loads(line)["output"] for line in by_chance)))
        by_name["suggested"].append(trained(out, "suggested", chosen, seed, args))
        by_name["random"].append(trained(out, "random", by_chance, seed, args))

    failing = [g["name"] for part in said["gap"]["parts"] if part["by"] == "class" for g in part["groups"]]
    thin = {name for name, count in Counter(json.loads(x)["output"] for x in lines(DATA / "train.jsonl")).items()
            if count < 5}  # fmt: skip
    parts = {
        "all test rows": [True] * len(first["right"]),
        "classes with one training row": [label in thin for label in first["labels"]],
        "classes with ten": [label not in thin for label in first["labels"]],
    }
    table = {part: _figures(by_name, mask) for part, mask in parts.items()}
    from graftlm.contracts.versions import versions

    result = {
        "date": f"{datetime.now(UTC):%Y-%m-%d}", "versions": versions(), "model": args.model, "steps": args.steps,
        "rows": len(chosen), "seeds": args.seeds, "table": table,
        "gap": {key: said["gap"][key] for key in ("every", "kinds", "conclusion", "folder")},
        "classes_by_failure": failing,
        "suggested_by_class": Counter(json.loads(line)["output"] for line in chosen), "random_by_class": drawn,
        "cells": [{k: v for k, v in cell.items() if k != "labels"} for cells in by_name.values() for cell in cells],
    }  # fmt: skip
    (out / "result.json").write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    for part, figures in table.items():
        print(f"\n{part} ({figures['n']}):")
        print(f"  first {figures['first']:.1%}  random {figures['random']:.1%}  suggested {figures['suggested']:.1%}")
        print("  suggested - random {value:+.1%} ({low:+.1%} to {high:+.1%})".format(**figures["suggested - random"]))


def _figures(by_name: dict[str, list[dict[str, Any]]], mask: Sequence[bool]) -> dict[str, Any]:
    """Shares of right answers among the rows of the mask, by name, and the paired difference."""
    right = {
        name: [[value for value, wanted in zip(cell["right"], mask, strict=True) if wanted] for cell in cells]
        for name, cells in by_name.items()
    }
    value, low, high = compared(right["random"], right["suggested"])
    shares = {name: sum(map(sum, rows)) / sum(map(len, rows)) for name, rows in right.items()}
    return {"n": sum(mask), **shares, "suggested - random": {"value": value, "low": low, "high": high}}


if __name__ == "__main__":
    main()
