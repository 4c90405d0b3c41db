"""What the engine is to reach against the peers, and whether it did.

``python engine_goals.py FOLDER``, that of 'make bench-engine'.

Ratios are taken within rounds; the median of the rounds counts, with a 95% interval. Peers that pack make their own
rows: their tokens a step may differ by 5% from the plan's, which is checked.
"""

from __future__ import annotations

import statistics
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from graftlm.comparing.figures import MEASURES, measured
from graftlm.comparing.ratios import paired_ratio
from graftlm.comparing.record import read_record
from graftlm.comparing.results import ResultFolder, RunResult

FP32, BF16 = "fp32", "graftlm bf16"
TUNED = ("LLaMA-Factory neat_packing bf16", "TRL packing bf16", "Trainer bf16")
DEFAULTS = {
    FP32: ("Trainer fp32", "TRL default fp32"),
    BF16: ("TRL default bf16", "LLaMA-Factory default bf16", "Unsloth default bf16"),
}
AS_THEY_COME = ("Trainer fp32", "TRL default bf16", "LLaMA-Factory default bf16", "Unsloth default bf16")
PEERS = tuple(dict.fromkeys((*TUNED, "TRL packing fp32", *DEFAULTS[FP32], *DEFAULTS[BF16])))
NAMES = {FP32: "graftlm fp32"}
SPEED, MEMORY, START, SHARE = "tokens_per_second", "peak_memory", "first_step_seconds", "share_of_rate"
EQUAL = 0.05
"""How far a peer's tokens a step may be from the plan's."""
KNOWN = {measure.name: measure for measure in MEASURES}


@dataclass(frozen=True, slots=True)
class Goal:
    """``mine`` against each of ``others``: the least favourable one decides. ``least`` is the ratio in favour of
    ``mine``; without others, the value itself.
    """

    said: str
    mine: str
    others: tuple[str, ...]
    measure: str
    least: float


GOALS = (
    Goal("tokens/s against the best tuned peer, bf16", BF16, TUNED, SPEED, 2.0),
    Goal("tokens/s against TRL's tuned packing, fp32", FP32, ("TRL packing fp32",), SPEED, 2.5),
    *(
        Goal("tokens/s against a default at equal precision", mine, (other,), SPEED, 3.0)
        for mine, others in DEFAULTS.items()
        for other in others
    ),
    *(Goal("tokens/s against a peer as it comes", BF16, (other,), SPEED, 5.0) for other in AS_THEY_COME),
    Goal("of the matrix rate, bf16", BF16, (), SHARE, 0.40),
    Goal("of the matrix rate, fp32", FP32, (), SHARE, 0.55),
    Goal("memory of the leanest peer without checkpointing, bf16", BF16, TUNED, MEMORY, 1.0),
    Goal("start of the fastest peer to its first step", BF16, PEERS, START, 1.0),
)  # fmt: skip

Values = Mapping[str, Mapping[int, float]]
"""Of one measure, by cell and round."""


def reached(goal: Goal, values: Values) -> tuple[float, str]:
    """What decides, and how it is said; 0 where a cell was not measured."""
    if not goal.others:
        found = list(values.get(goal.mine, {}).values())
        middle = statistics.median(found) if found else 0.0
        return middle, f"{middle:.0%} ({min(found):.0%} to {max(found):.0%})" if found else "not measured"
    worst: tuple[float, str] | None = None
    for other in goal.others:
        if not values.get(other):
            return 0.0, f"{other} was not measured"
        ratio = paired_ratio(values[goal.mine], values[other], KNOWN[goal.measure])
        if ratio is None:
            return 0.0, "no round has both"
        bounds = (ratio.low or ratio.median, ratio.high or ratio.median)
        middle = ratio.median
        if not KNOWN[goal.measure].higher_is_better:
            middle, bounds = 1 / middle, (1 / bounds[1], 1 / bounds[0])
        said = f"{middle:.2f} ({bounds[0]:.2f} to {bounds[1]:.2f}) against {other}"
        if worst is None or middle < worst[0]:
            worst = (middle, said)
    assert worst is not None
    return worst


def main(folder: Path) -> None:
    record, runs = read_record(ResultFolder(folder)), ResultFolder(folder).read()
    cells = [cell.name for cell in record.cells]
    done: dict[str, list[RunResult]] = {name: [r for r in runs if r.cell == name and not r.error] for name in cells}
    figures = {name: {r.round: measured(r, record.suite.warmup) for r in found} for name, found in done.items()}
    values = {
        measure: {name: {n: f[measure] for n, f in rounds.items() if measure in f} for name, rounds in figures.items()}
        for measure in (SPEED, MEMORY, START, SHARE)
    }
    planned = statistics.mean(step.tokens for step in done[BF16][0].steps)
    print("| cell | tokens/s | of the matrix rate | peak memory | first step | tokens a step | rounds |")
    print("|---|---|---|---|---|---|---|")
    for name in cells:
        if not done[name]:
            print(f"| {name} | not measured | | | | | 0 |")
            continue
        middle = {m: statistics.median(values[m][name].values()) for m in values}
        tokens = statistics.mean(step.tokens for run in done[name] for step in run.steps) / planned
        equal = "" if abs(tokens - 1) <= EQUAL else ": not equal"
        print(
            f"| {NAMES.get(name, name)} | {middle[SPEED]:,.0f} | {middle[SHARE]:.0%} "
            f"| {middle[MEMORY] / 2**20:,.0f} MiB | {middle[START]:.1f} s "
            f"| {tokens:.2f} of the plan's{equal} | {len(done[name])} |"
        )
    print("\n| goal | at least | reached (95% over rounds) | |\n|---|---|---|---|")
    for goal in GOALS:
        value, said = reached(goal, values[goal.measure])
        least = f"{goal.least:.0%}" if goal.measure == SHARE else f"{goal.least:g} times"
        print(f"| {goal.said} | {least} | {said} | {'reached' if value >= goal.least else 'not reached'} |")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
