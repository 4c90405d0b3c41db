"""What this machine multiplies fastest with: measured before a run that is worth it, never assumed.

Threads, and whether fp32 products go through oneDNN ("medium") or through BLAS ("highest"): which is faster differs
from one processor to the next, and a busy neighbour makes two threads slower than one. The plan's precision is never
changed: "medium" is taken only where its products are as exact as fp32 is.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch

from graftlm.contracts.model import ModelShape
from graftlm.contracts.outcome import Machine
from graftlm.contracts.plan import Plan

WORTH = 5e11
"""Operations of a run from which on measuring is worth its half second: some five seconds of work."""
SECONDS = 0.5
TOKENS = 1024
LARGEST = 2e9
"""Operations of one product at most: of a large model's sizes, fewer tokens are multiplied."""
CLEARLY = 1.15
"""Another way than torch's own must be this many times as fast: noise is no reason."""
EXACT = 2.0
"""Times the usual error of fp32 products that those of "medium" may have: where it rounds to bf16, it is thousands."""


@dataclass(frozen=True, slots=True)
class Way:
    """A way to compute products of matrices."""

    threads: int
    matmul: str

    @staticmethod
    def now() -> Way:
        """What this process is set to."""
        return Way(torch.get_num_threads(), torch.get_float32_matmul_precision())

    def set(self) -> None:
        torch.set_num_threads(self.threads)
        torch.set_float32_matmul_precision(self.matmul)

    def seconds(self, left: torch.Tensor, right: torch.Tensor) -> float:
        """Of one product."""
        self.set()
        began = time.perf_counter()
        torch.nn.functional.linear(left, right)
        return time.perf_counter() - began


def settle_machine(shape: ModelShape, plan: Plan, operations: float) -> tuple[Machine | None, Callable[[], None]]:
    """Set threads and matmul precision for this process; what was measured, and what sets both back.

    None, and all is as torch has it, where there is nothing to choose (a GPU), or the run, of so many ``operations``,
    is too short to gain by it.
    """
    before = Way.now()
    if plan.device != "cpu" or operations < WORTH:
        return None, before.set
    found = measure(shape.hidden, shape.intermediate or shape.hidden, plan.dtype)
    Way(found.threads, found.matmul).set()
    return found, before.set


def measure(inner: int, outer: int, dtype: str) -> Machine:
    """The fastest way for products of ``[tokens, inner]`` with ``[inner, outer]`` in the run's precision, and its rate
    in the other one. Ways are tried in turn, so that what else the machine does slows all of them alike; the process's
    settings are as before afterwards.
    """
    before = Way.now()
    threads = sorted({before.threads, max(1, before.threads // 2), 1}, reverse=True)
    matmuls = (before.matmul, *(m for m in ("medium",) if m != before.matmul and _exact(inner, outer)))
    ways = {"fp32": [Way(n, m) for n in threads for m in matmuls], "bf16": [Way(n, before.matmul) for n in threads]}
    try:
        times: dict[tuple[str, Way], list[float]] = {(d, way): [] for d, each in ways.items() for way in each}
        tokens = int(max(64, min(TOKENS, LARGEST // (2 * inner * outer))))
        draw = torch.Generator().manual_seed(0)  # the run's own draws stay as they are
        left, right = torch.randn(tokens, inner, generator=draw), torch.randn(outer, inner, generator=draw)
        given = {"fp32": (left, right), "bf16": (left.bfloat16(), right.bfloat16())}
        end = time.perf_counter() + SECONDS
        while time.perf_counter() < end or len(next(iter(times.values()))) < 3:
            for (d, way), taken in times.items():
                taken.append(way.seconds(*given[d]))
    finally:
        before.set()
    operations = 2 * tokens * inner * outer
    rates = {key: operations / statistics.median(taken[1:]) for key, taken in times.items()}
    mine = "bf16" if dtype == "bf16" else "fp32"

    def chosen(d: str, among: list[Way], usual: Way) -> Way:
        best = max(among, key=lambda way: rates[d, way])
        return best if rates[d, best] > CLEARLY * rates[d, usual] else usual

    threads_taken = chosen(mine, ways[mine], before).threads
    # in bf16 too there are fp32 products: those of attention
    same = [way for way in ways["fp32"] if way.threads == threads_taken]
    taken_way = chosen("fp32", same, Way(threads_taken, before.matmul))
    fastest = {d: max(rates[d, way] for way in each) for d, each in ways.items()}
    return Machine(
        threads=threads_taken,
        matmul=taken_way.matmul,
        rates={f"{d}, {way.threads} threads, {way.matmul}": round(rate) for (d, way), rate in rates.items()},
        best=max(fastest, key=lambda d: fastest[d]),
        gain=round(fastest[mine] / max(rate for d, rate in fastest.items() if d != mine), 3),
    )


def _exact(inner: int, outer: int) -> bool:
    """Whether products by "medium" are as exact here as fp32's: on processors with bf16 units it may round to bf16."""
    draw = torch.Generator().manual_seed(0)
    left, right = torch.randn(64, inner, generator=draw), torch.randn(outer, inner, generator=draw)
    truth = torch.nn.functional.linear(left.double(), right.double())
    before = torch.get_float32_matmul_precision()
    errors = {}
    try:
        for way in ("highest", "medium"):
            torch.set_float32_matmul_precision(way)
            errors[way] = float((torch.nn.functional.linear(left, right).double() - truth).abs().max())
    finally:
        torch.set_float32_matmul_precision(before)
    return errors["medium"] <= EXACT * errors["highest"]
