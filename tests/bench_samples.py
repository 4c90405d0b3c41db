"""Reports as ``graftlm bench`` makes them, rich and poor, for the tests of what is written from them."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from dataclasses import replace
from statistics import median

from graftlm import intervals
from graftlm.comparing.model import (
    CellReport,
    Check,
    Curve,
    CurvePoint,
    Estimate,
    Figure,
    JudgedCell,
    Judgement,
    Learned,
    Measure,
    Ratio,
    Relation,
    Report,
    Slope,
    Sweep,
)

EVIL = "<img src=x onerror=\"document.title='broken'\">"
EVIL_END = "</script><script>throw 1</script><!-- | `tick` {{title}}"
MEASURES = (
    Measure(name="tokens_per_second", label="Tokens/s", unit="tokens/s", higher_is_better=True, compared=True),
    Measure(name="step_seconds", label="Step time", unit="s", higher_is_better=False),
    Measure(name="seconds_to_first_step", label="Time to first step", unit="s", higher_is_better=False),
    Measure(name="peak_memory", label="Peak memory", unit="bytes", higher_is_better=False, compared=True),
    Measure(name="adapter_bytes", label="Adapter size", unit="bytes", higher_is_better=False),
    Measure(name="final_loss", label="Final loss", unit="", higher_is_better=False),
)
BACKENDS = {"peft": (1.0, 1.0), "trainer": (0.985, 1.05), "trl": (0.94, 1.11), "unsloth": (1.44, 0.79)}
CHECKS = ("ids", "labels", "order", "trainable parameters", "first loss", "gradient norm", "loss curve")


def figure(values: Sequence[float]) -> Figure:
    return Figure(median=median(values), least=min(values), greatest=max(values), values=tuple(values))


def ratio(values: Sequence[float], below: Sequence[float], better: str, worse: str) -> Ratio:
    pairs = sorted(a / b for a, b in zip(values, below, strict=True))
    mid, low, high = median(pairs), pairs[0], pairs[-1]
    said = "no difference shown" if low <= 1 <= high else f"{mid:.2f} {better if mid > 1 else worse}"
    return Ratio(median=mid, low=low, high=high, rounds=len(pairs), said=f"{said} ({low:.2f} to {high:.2f})")


def checks(failed: str = "", said: str = "") -> tuple[Check, ...]:
    found = {"first loss": "first loss differs by 3.1e-7", "gradient norm": "gradient norm differs by 0.002%"}
    return tuple(
        Check(name=name, passed=name != failed, said=said if name == failed else found.get(name, f"same {name}"))
        for name in CHECKS
    )


def finished(
    name: str,
    settings: dict[str, str],
    speed: float,
    memory: float,
    seed: int,
    *,
    baseline: CellReport | None = None,
    relation: Relation = "baseline",
    computation: int = 1,
    reason: str = "",
    failed: tuple[str, str] = ("", ""),
    rounds: int = 5,
    steps: int = 24,
    level: float = 0.0,
) -> CellReport:
    """A finished cell with noise; its losses are the baseline's but for rounding where it computes the same."""
    dice = random.Random(seed)
    speeds = [speed * dice.gauss(1, 0.015) for _ in range(rounds)]
    peaks = [memory * dice.gauss(1, 0.004) for _ in range(rounds)]
    seconds = [
        2048 / one * dice.lognormvariate(0, 0.06) * (1 if dice.random() > 0.02 else 2.5)
        for one in speeds
        for _ in range(steps)
    ]
    noise = random.Random(computation)
    losses = [level + 1.1 + 1.5 * math.exp(-i / 9) + noise.gauss(0, 0.05) for i in range(steps)]
    figures = {
        "tokens_per_second": figure(speeds),
        "step_seconds": figure([2048 / one for one in speeds]),
        "seconds_to_first_step": figure([4 + dice.random() * 3 for _ in range(rounds)]),
        "peak_memory": figure(peaks),
        "adapter_bytes": figure([1_318_912.0] * rounds),
        "final_loss": figure([losses[-1] + dice.gauss(0, 1e-6) for _ in range(rounds)]),
    }
    ratios = {}
    if baseline is not None and relation in ("same computation", "another computation"):
        beside = baseline.figures
        ratios = {
            "tokens_per_second": ratio(
                speeds, beside["tokens_per_second"].values, "times as fast", "times as fast: slower"
            ),
            "peak_memory": ratio(peaks, beside["peak_memory"].values, "times the memory", "times the memory: less"),
        }
    return CellReport(
        name=name,
        settings=settings,
        status="finished",
        reason=reason,
        rounds=rounds,
        computation=computation,
        relation=relation,
        baseline=name if baseline is None else baseline.name,
        checks=() if relation == "another computation" else checks(*failed),
        figures=figures,
        ratios=ratios,
        step_seconds=tuple(seconds),
        losses=tuple(losses),
        validation=((steps // 2, level + 1.52), (steps, level + 1.31)),
        ran={"attention": "sdpa", "precision": "fp32", "loss path": "fused cross entropy", "torch": "2.13.0"},
    )


def matrix(models: Sequence[str], shapes: Sequence[str], rounds: int = 5) -> tuple[CellReport, ...]:
    """For each model and data shape: four backends, one refused by the gate, one of another computation, one failed,
    one unavailable.
    """
    cells: list[CellReport] = []
    for m, model in enumerate(models):
        for s, shape in enumerate(shapes):
            number, group = 10 * m + s + 1, f"{model}/{shape}"
            speed, memory = 5200 / (1 + m * 0.8) * (1 - s * 0.2), 1.3e9 * (1 + m * 0.7) * (1 + s * 0.25)

            told = {"model": model, "data": shape}
            base: CellReport | None = None
            for b, (backend, (fast, big)) in enumerate(BACKENDS.items()):
                cell = finished(
                    f"{group}/{backend}", {"backend": backend, **told}, speed * fast, memory * big, 100 * number + b,
                    baseline=base, relation="same computation" if base else "baseline", computation=number,
                    rounds=rounds,
                )  # fmt: skip
                base = base or cell
                cells.append(cell)
            cells += [
                finished(
                    f"{group}/falcon-script", {"backend": "falcon-script", **told, "quantization": "nf4"},
                    speed * 1.02, memory * 1.01, 100 * number + 7,
                    baseline=base, relation="not comparable", computation=number, rounds=rounds,
                    reason="0 of 32 layers quantized",
                    failed=("trainable parameters", "0 of 32 layers quantized; 32 were asked for"),
                ),
                finished(
                    f"{group}/peft-nf4", {"backend": "peft", **told, "quantization": "nf4"},
                    speed * 0.71, memory * 0.46, 100 * number + 8,
                    baseline=base, relation="another computation", computation=number + 100, rounds=rounds, level=0.06,
                ),
            ]  # fmt: skip
            cells.append(
                CellReport(
                    name=f"{group}/llamafactory",
                    settings={"backend": "llamafactory", **told},
                    status="failed",
                    reason="the process ended with code 1 in round 2: RuntimeError: expected scalar type Float but "
                    "found BFloat16",
                    rounds=1,
                    computation=number,
                    baseline=base.name if base else "",
                )
            )
            cells.append(
                CellReport(
                    name=f"{group}/axolotl",
                    settings={"backend": "axolotl", **told},
                    status="unavailable",
                    reason="axolotl needs CUDA, and this machine has no GPU",
                    computation=number,
                    baseline=base.name if base else "",
                )
            )
    return tuple(cells)


def sweep() -> Sweep:
    lengths, dice = (256.0, 512.0, 1024.0, 2048.0, 4096.0), random.Random(3)

    def slope(measure: str, cells: str, start: float, exponent: float) -> Slope:
        points = tuple((x, start * (x / 256) ** exponent * dice.gauss(1, 0.02)) for x in lengths)
        said = f"grows as length ^ {exponent:.2f} ({exponent - 0.04:.2f} to {exponent + 0.05:.2f})"
        low, high = exponent - 0.04, exponent + 0.05
        return Slope(measure=measure, cells=cells, exponent=exponent, low=low, high=high, points=points, said=said)

    return Sweep(
        setting="max-length",
        slopes=(
            slope("step_seconds", "peft", 0.31, 1.18),
            slope("step_seconds", "unsloth", 0.22, 1.04),
            slope("peak_memory", "peft", 0.8e9, 0.87),
            slope("peak_memory", "unsloth", 0.7e9, 0.52),
        ),
    )


def report(
    cells: Sequence[CellReport], *, title: str = "LoRA on CPU, five backends", sweeps: tuple[Sweep, ...] = ()
) -> Report:
    numbers = dict.fromkeys(cell.computation for cell in cells if cell.computation)
    told = {cell.computation: cell for cell in reversed(cells)}
    return Report(
        title=title,
        created="2026-11-22 21:40 UTC",
        about={
            "device": "AMD EPYC 9B14, 2 cores, 16 GiB",
            "operating system": "Linux 6.12, Debian 12",
            "torch": "2.13.0",
            "graftlm": "0.4.0 (1f3a9c2)",
        },
        settings={"method": "lora", "rank": "16", "max-length": "512", "micro-batch": "4", "seed": "0", "lr": "2e-4"},
        rounds=5,
        warmup=3,
        measures=MEASURES,
        cells=tuple(cells),
        computations={
            n: f"lora on {told[n].settings.get('model', 'a model')} in {'nf4' if n > 100 else 'fp32'}, "
            f"{told[n].settings.get('data', 'some')} rows"
            for n in numbers
        },
        sweeps=sweeps,
        notes=(
            "The CPU's frequency was not fixed: step times of one round can differ by a few percent.",
            "Energy was not measured: this device does not tell.",
        ),
    )


def rich() -> Report:
    """Two models by two data shapes by eight cells, and a sweep."""
    return report(matrix(("tiny-qwen", "tiny-falcon"), ("short", "long")), sweeps=(sweep(),))


def large() -> Report:
    """More than 60 cells."""
    return report(
        matrix(("tiny-qwen", "tiny-falcon", "tiny-llama", "tiny-gemma"), ("short", "long")), sweeps=(sweep(),)
    )


def small() -> Report:
    """Two cells, between which no difference is shown."""
    base = finished("peft", {"backend": "peft"}, 1000, 1e9, seed=1)
    other = finished("trainer", {"backend": "trainer"}, 1001, 1e9, seed=2, baseline=base, relation="same computation")
    return report((base, other), title="Two cells")


def unfinished() -> Report:
    """No finished cell at all."""
    return report(
        (
            CellReport(name="unsloth", settings={"backend": "unsloth"}, status="unavailable", reason="needs a GPU"),
            CellReport(name="peft", settings={"backend": "peft"}, status="failed", reason="out of memory", rounds=0),
            CellReport(name="trl", settings={"backend": "trl"}, status="unfinished", reason="2 of 5 rounds ran"),
        ),
        title="Nothing finished",
    )


def hostile() -> Report:
    """Names and reasons that are very long, or that would break out of a page or a table that trusts them."""
    long_name = "a-very-long-cell-name-" * 6
    settings = {"backend": EVIL}
    base = finished(EVIL, settings, 1000, 1e9, seed=1)
    other = finished(
        long_name, {"backend": long_name}, 1300, 1e9, seed=2, baseline=base, relation="same computation", rounds=5
    )
    third = finished(
        EVIL_END,
        {"backend": EVIL_END},
        1200,
        1e9,
        seed=3,
        baseline=base,
        relation="not comparable",
        reason=EVIL + " " + "because-of-something-without-any-space" * 8,
        failed=("ids", EVIL_END),
    )
    broken = CellReport(
        name="diverged",
        settings={"backend": "diverged"},
        status="finished",
        rounds=1,
        computation=1,
        baseline=EVIL,
        figures={"tokens_per_second": figure([900.0]), "final_loss": figure([math.nan])},
        ratios={"tokens_per_second": Ratio(median=0.9, low=None, high=None, rounds=1, said="too few rounds")},
        relation="same computation",
        checks=checks(),
        step_seconds=(0.5,),
        losses=(2.0, math.nan, math.inf),
    )
    made = report((base, other, third, broken), title=EVIL)
    slope = Slope(
        measure=EVIL, cells=EVIL_END, exponent=1.0, low=None, high=None, points=((1.0, 2.0), (0.0, 3.0)), said=EVIL
    )
    return replace(
        made,
        created=EVIL,
        about={EVIL: EVIL_END},
        settings={EVIL_END: EVIL},
        computations={1: EVIL_END},
        sweeps=(Sweep(setting=EVIL, slopes=(slope,)),),
        notes=(EVIL_END,),
    )


SKILLS = ("capitals", "first-letter", "last-letter", "repeat", "reverse", "steps", "sum", "upper-case")
WEIGHTS = {"new": 1.0, "old": 1.0, "forgetting": 1.0, "speed": 0.0, "memory": 0.0, "size": 0.25}


def share(right: int, n: int) -> Estimate:
    low, high = intervals.wilson(right, n)
    return Estimate(value=right / n, low=low, high=high)


def scored(
    evaluation: str, role: str, before: int, after: int, n: int, metric: str = "exact-match", good: bool = True
) -> Learned:
    """``before`` and ``after`` of ``n`` rows are right, the same ones as far as can be."""
    low, high = intervals.paired_shares(
        *([1.0] * right + [0.0] * (n - right) for right in (before, after)),
    )
    change = Estimate(value=(after - before) / n, low=low, high=high)
    return Learned(
        evaluation=evaluation, role=role, evaluator="exact-match", metric=metric, unit="fraction",  # type: ignore[arg-type]
        higher_is_better=good, n=n,
        before=share(before, n), after=share(after, n), change=change,
    )  # fmt: skip


def retention(forgot: float) -> tuple[Learned, Learned]:
    def around(value: float, half: float) -> Estimate:
        return Estimate(value=value, low=value - half, high=value + half)

    told = {
        "evaluation": "retention text",
        "role": "old",
        "evaluator": "perplexity",
        "higher_is_better": False,
        "n": 48,
    }
    return (
        Learned(
            metric="loss", unit="nats per token", before=around(1.11, 0.035), after=around(1.11 + forgot, 0.04),
            change=around(forgot, 0.01 + forgot / 10), **told,  # type: ignore[arg-type]
        ),
        Learned(
            metric="perplexity", unit="perplexity", before=around(3.03, 0.1),
            after=around(3.03 * math.exp(forgot), 0.1), change=around(3.03 * (math.exp(forgot) - 1), 0.03), **told,  # type: ignore[arg-type]
        ),
    )  # fmt: skip


def judged_cell(
    name: str, new: Sequence[Learned], forgot: float, kept: Sequence[int], against: Estimate | None = None
) -> JudgedCell:
    """``kept`` are how many of 50 rows of each old skill are still right; all of them were."""
    old = [each for skill, n in zip(SKILLS, kept, strict=True) for each in (
        scored(skill, "old", 50, n, 50), scored(skill, "old", 0, (50 - n) // 3, 50, "taught-answers", good=False),
    )]  # fmt: skip
    loss, perplexity = retention(forgot)
    parts = {
        "new": sum(e.after.value for e in new) / len(new), "old": sum(kept) / 400 - 1, "forgetting": -forgot,
        "speed": 0.8, "memory": 0.9, "size": 1.0,
    }  # fmt: skip
    slug = name.replace(" ", "-").replace(",", "")
    return JudgedCell(
        name=name,
        adapter=f"reviews-{slug}@1",
        samples=f"samples/reviews-{slug}.r1",
        learned=(*new, loss, perplexity, *old),
        forgetting=loss.change,
        parts=parts,
        score=sum(weight * parts[part] for part, weight in WEIGHTS.items()),
        against_best=against,
    )


def judgement(cells: Sequence[JudgedCell], said: Sequence[str], curves: Sequence[Curve] = ()) -> Judgement:
    return Judgement(weights=WEIGHTS, cells=tuple(cells), curves=tuple(curves), said=tuple(said))


def measured(name: str, settings: dict[str, str], speed: float, memory: float, seed: int) -> CellReport:
    made = finished(name, settings, speed, memory, seed, rounds=1, steps=60, relation="none", level=0.1 * (seed % 5))
    return replace(made, baseline="", checks=checks()[:1])


def judged_report(cells: Sequence[CellReport], judged: Judgement, title: str = "reviews") -> Report:
    return replace(report(cells, title=title), rounds=1, warmup=1, judgement=judged)


def judged() -> Report:
    """Four models, of which one forgot much, and one that failed."""
    models = {"tiny-qwen": 0.004, "tiny-mistral": 0.021, "tiny-falcon": 0.13, "tiny-glm": 0.9}
    cells = [measured(name, {"model": name}, 9000 - 900 * n, 4.5e8 + 4e7 * n, n) for n, name in enumerate(models)]
    cells.insert(
        2, CellReport(name="small-qwen", settings={"model": "small-qwen"}, status="failed", reason="out of memory")
    )
    found = [
        judged_cell("tiny-qwen", [scored("reviews", "new", 2, 57, 60)], 0.004, (50, 50, 49, 50, 47, 50, 50, 50)),
        judged_cell(
            "tiny-mistral", [scored("reviews", "new", 0, 59, 60)], 0.021, (33, 50, 50, 44, 40, 50, 50, 50),
            Estimate(value=0.033, low=-0.03, high=0.1),
        ),
        judged_cell(
            "tiny-falcon", [scored("reviews", "new", 5, 51, 60)], 0.13, (41, 50, 44, 44, 29, 50, 48, 50),
            Estimate(value=-0.1, low=-0.2, high=-0.01),
        ),
        judged_cell(
            "tiny-glm", [scored("reviews", "new", 0, 55, 60)], 0.9, (2, 0, 13, 22, 0, 31, 8, 1),
            Estimate(value=-0.033, low=-0.11, high=0.04),
        ),
    ]  # fmt: skip
    best = f"tiny-qwen is the best by 1 × new + 1 × old + 1 × forgetting + 0.25 × size: {found[0].score:.3f}, "
    best += f"and tiny-mistral {found[1].score:.3f}"
    return judged_report(cells, judgement(found, [f"{best}; between their new skills no difference is shown"]))


def judged_curves() -> Report:
    """Two models over four numbers of training rows, and one whose forecast cannot be said."""
    cells, found, curves = [], [], []
    for m, model in enumerate(("tiny-qwen", "tiny-mistral", "tiny-glm")):
        points = []
        for n, rows in enumerate((50, 100, 200, 400)[: 2 if m == 2 else 4]):
            name = f"model {model}, data-size {rows}"
            cells.append(measured(name, {"model": model, "data-size": str(rows)}, 9000, 4.5e8, 10 * m + n))
            new = scored("reviews", "new", 3, (28, 39, 48, 55)[n] - 5 * m, 60)
            found.append(judged_cell(name, [new], 0.01 * (1 + m) + 0.01 * n, (50, 50, 49, 48, 47 - n, 50, 50, 50)))
            points.append(CurvePoint(rows=rows, score=new.after, cell=name))
        doubled = None if m == 2 else Estimate(value=0.95 - 0.08 * m, low=0.9 - 0.1 * m, high=0.98 - 0.04 * m)
        said = "what more rows would bring cannot be said: it takes 3 sizes"
        if doubled is not None:
            said = f"800 rows instead of 400 would likely bring reviews from {points[-1].score.value:.0%} to more"
        curves.append(
            Curve(
                evaluation="reviews",
                metric="exact-match",
                unit="fraction",
                cells=model,
                points=tuple(points),
                doubled=doubled,
                said=said,
            )
        )
    found.sort(key=lambda cell: -cell.score)
    return judged_report(cells, judgement(found, [f"{found[0].name} is the best"], curves))


def judged_many() -> Report:
    """Forty cells and five new skills: eight joint runs that learn all of them, and others that learn one each."""
    dice, cells, found = random.Random(5), [], []
    topics = ("reviews", "dates", "units", "names", "colours")
    for n in range(40):
        topic = "all" if n % 5 == 0 else topics[n % 5]
        name = f"capability {topic}, rank {2 ** (n // 5)}"
        cells.append(
            measured(name, {"capability": topic, "rank": str(2 ** (n // 5))}, 5000 + 100 * n, 4e8 + 1e7 * n, n)
        )
        new = [scored(t, "new", 2, dice.randint(20, 60), 60) for t in (topics if topic == "all" else (topic,))]
        kept = [dice.randint(20, 50) for _ in SKILLS]
        found.append(judged_cell(name, new, dice.random() ** 2, kept))
    found.sort(key=lambda cell: -cell.score)
    return judged_report(cells, judgement(found, [f"{found[0].name} is the best"]), title="Each capability")


def judged_none() -> Report:
    """Nothing finished."""
    return replace(unfinished(), judgement=judgement((), ["no cell has finished"]), rounds=1, warmup=1)


def judged_one() -> Report:
    """One cell, of which nothing but the new skill was measured."""
    whole = judged()
    only = whole.judgement.cells[0]  # type: ignore[union-attr]
    bare = replace(only, learned=only.learned[:1], forgetting=None)
    return replace(
        whole, cells=whole.cells[:1], judgement=judgement((bare,), [f"{bare.name} is the only one that finished"])
    )


def judged_hostile() -> Report:
    """Names that would break out, figures that are none, no intervals, and a cell that failed a check."""
    made = hostile()
    names = [cell.name for cell in made.cells]
    nothing = Estimate(value=math.nan)
    bad = Learned(
        evaluation=EVIL_END, role="new", evaluator="exact-match", metric=EVIL, unit=EVIL, higher_is_better=True, n=0,
        before=nothing, after=Estimate(value=math.inf), change=Estimate(value=-math.inf, low=math.nan, high=math.nan),
    )  # fmt: skip
    bare = replace(scored("plain", "old", 50, 10, 50), before=Estimate(value=1.0), evaluation=EVIL)
    evil = JudgedCell(
        name=names[0], adapter=EVIL, samples=EVIL_END, learned=(scored(EVIL, "new", 1, 50, 50), bad, bare),
        forgetting=Estimate(value=0.3), parts={}, score=math.nan,
    )  # fmt: skip
    long = judged_cell(names[1], [scored(EVIL, "new", 1, 40, 50), bad], 1e-9, (0,) * 8, Estimate(value=math.nan))
    endless = replace(long, name=names[2], forgetting=Estimate(value=math.inf, low=0.0, high=math.inf), samples="")
    lost = replace(long, name=names[3], forgetting=None, learned=(), adapter="")
    points = tuple(CurvePoint(rows=rows, score=share(rows, 50), cell=names[0]) for rows in (0, 40))
    broken = replace(points[0], score=nothing)
    curves = (
        Curve(
            evaluation=EVIL,
            metric=EVIL_END,
            unit="fraction",
            cells=EVIL_END,
            points=(*points, broken),
            doubled=nothing,
            said=EVIL,
        ),
        Curve(evaluation="gone", metric="x", unit="fraction", cells="", points=(broken,), doubled=None, said=EVIL_END),
    )
    judged = replace(judgement((evil, long, endless, lost), [EVIL_END, EVIL], curves), weights={"new": 1.0, EVIL: 2.0})
    return replace(made, judgement=judged)
