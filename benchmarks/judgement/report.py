"""``OUT/report.md``, made of the steps of ``run.py``: each claim with the figures that it rests on.

A claim is *shown*, or *not shown*, by a rule that stands beside it here; nothing is decided by hand.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

Json = Mapping[str, Any]
MODELS = ("tiny-mistral", "tiny-qwen")
WANTED = {"shift": "prompt", "subjects": "fine-tune", "facts": "retrieve"}
"""The kind of advice that is right, by task."""


def write(out: Path) -> Path:
    """Of the steps that are there."""
    steps = {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in sorted((out / "steps").glob("*.json"))}
    parts = ["# Judgement on the built-in models", *_about(steps)]
    for section in (
        advised,
        followed,
        steps_of_thought,
        gap_rows,
        replayed,
        bigger,
        repaired,
        bases,
        sizes,
        capabilities,
    ):
        parts += section(steps)
    path = out / "report.md"
    path.write_text("\n\n".join(parts) + "\n", encoding="utf-8")
    return path


def _about(steps: Json) -> Iterator[str]:
    report = next((each for each in steps.values() if isinstance(each, dict) and "judgement" in each), None)
    if report is not None:
        about = report["about"]
        yield "\n".join(f"- {name}: {said}" for name, said in about.items() if said)
    yield (
        "Scores are on rows that no training has seen, with 95% intervals in percent; made by `make judgement`, which "
        "runs the command line alone. What each step printed (`steps/`), which names the folder of every answer, and "
        "the answers lie in `everything.tar.xz`; `graftlm bench report` makes a page of each folder in its `compare/`."
    )


def claim(said: str, shown: bool) -> str:
    return f"**{'Shown' if shown else 'Not shown'}:** {said}"


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def percent(score: Json) -> str:
    """``93 (87–97)``"""
    if score.get("low") is None:
        return f"{100 * score['value']:.0f}"
    return f"{100 * score['value']:.0f} ({100 * score['low']:.0f}–{100 * score['high']:.0f})"


def signed(estimate: Json, scale: float = 100, form: str = "+.0f") -> str:
    bounds = (
        f" ({scale * estimate['low']:{form}} to {scale * estimate['high']:{form}})"
        if estimate.get("low") is not None
        else ""
    )
    return f"{scale * estimate['value']:{form}}{bounds}".replace("-", "−")


# ── advice ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def advised(steps: Json) -> Iterator[str]:
    yield "## What is advised"
    rows, right = [], []
    for name in ("shift", "subjects", "facts", "sums"):
        for model in MODELS:
            found = steps.get(f"advise-{name}-{model}")
            if found is None:
                continue
            (each,) = found["models"]
            said = each["recommendation"]
            if name in WANTED:
                right.append(said["kind"] == WANTED[name])
            scored = [p for p in each["prompts"] if p["scores"]]
            best = max(scored, key=lambda p: p["scores"][0]["value"])
            rows.append([name, model, percent(scored[0]["scores"][0]), f"{percent(best['scores'][0])}, {best['name']}",
                         said["kind"], said["reason"]])  # fmt: skip
    yield table(["task", "model", "bare question", "best prompt", "advice", "in words"], rows)
    yield claim(
        "prompting is advised where examples solve it (shift), tuning for 20 classes (subjects), retrieval for "
        f"knowledge (facts): {sum(right)} of {len(right)}",
        bool(right) and all(right),
    )


def followed(steps: Json) -> Iterator[str]:
    yield "## The advice, followed"
    rows, held = [], []
    for model in MODELS:
        prompt = _chosen_prompt(steps, "shift", model)
        tuned, best = _after(steps.get(f"train-subjects-{model}")), _best_unseen(steps, "subjects", model)
        facts, read = (_after(steps.get(f"train-{name}-{model}")) for name in ("facts", "facts-retrieved"))
        if prompt is None or tuned is None or best is None or facts is None or read is None:
            continue
        rows += [
            ["shift", model, "the advised prompt", percent(prompt)],
            ["subjects", model, "the best prompt of all", percent(best)],
            ["subjects", model, "tuned", percent(tuned)],
            ["facts", model, "tuned on other facts", percent(facts)],
            ["facts", model, "tuned to read, the fact in the prompt", percent(read)],
        ]
        held += [prompt["low"] > 0.8, tuned["low"] > best["high"], facts["high"] < 0.1 < 0.8 < read["low"]]
    yield table(["task", "model", "done", "unseen rows"], rows)
    yield claim(
        "the prompt is above 80% on unseen rows, tuning beats every prompt with intervals apart, and facts are not "
        "learned for other questions but read from the prompt",
        bool(held) and all(held),
    )


def _chosen_prompt(steps: Json, name: str, model: str) -> Json | None:
    """The score on unseen rows of the prompt that was advised on the validation rows."""
    advice, unseen = steps.get(f"advise-{name}-{model}"), steps.get(f"prompted-{name}-{model}")
    if advice is None or unseen is None:
        return None
    chosen = advice["models"][0]["recommendation"]["prompt"]
    found: Json = next(p["scores"][0] for p in unseen["models"][0]["prompts"] if p["name"] == chosen)
    return found


def _best_unseen(steps: Json, name: str, model: str) -> Json | None:
    """The best of all prompts on the unseen rows themselves, which favours prompting."""
    unseen = steps.get(f"prompted-{name}-{model}")
    if unseen is None:
        return None
    found: Json = max((p["scores"][0] for p in unseen["models"][0]["prompts"] if p["scores"]), key=lambda s: s["value"])
    return found


def _after(trained: Json | None) -> Json | None:
    if trained is None:
        return None
    scores = trained["outcome"]["scores"]
    found: Json = next(s for s in scores if s["role"] == "new" and s["moment"] == "after")
    return found


def steps_of_thought(steps: Json) -> Iterator[str]:
    yield "## Chain of thought"
    rows, better = [], []
    for model in MODELS:
        if (found := steps.get(f"advise-sums-{model}")) is not None:
            prompts = {p["name"]: p for p in found["models"][0]["prompts"] if p["scores"]}
            bare, thinking = prompts["zero-shot"], prompts["chain-of-thought"]
            rows.append([model, percent(bare["scores"][0]), percent(thinking["scores"][0]),
                         f"{thinking['answer_tokens']:.0f} instead of {bare['answer_tokens']:.0f}"])  # fmt: skip
            better.append(thinking["scores"][0]["low"] > bare["scores"][0]["high"])
    yield table(["model", "sums, asked for the answer", "asked to think step by step", "tokens of an answer"], rows)
    yield claim(
        "thinking step by step is measured, and solves sums that the bare question does not",
        all(better) and bool(better),
    )


# ── the gap ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def gap_rows(steps: Json) -> Iterator[str]:
    yield "## Rows that the gap asks for"
    found = steps.get("gap-pool")
    if found is None:
        return
    yield (
        f"A first adapter saw one row of 8 of the 20 classes. `graftlm gap --pool` chose {found['rows']} rows; as many "
        f"were drawn at random, for {found['seeds']} seeds ({found['model']}, {found['steps']} steps)."
    )
    rows = [
        [part, str(each["n"]), *(f"{100 * each[name]:.0f}" for name in ("first", "random", "suggested")),
         signed(each["suggested - random"])]
        for part, each in found["table"].items()
    ]  # fmt: skip
    head = ["test rows", "n", "first adapter", "and random rows", "and suggested rows", "difference (rows and seeds)"]
    yield table(head, rows)
    whole = found["table"]["all test rows"]["suggested - random"]
    yield claim("the suggested rows beat a random choice of as many", whole["low"] > 0)


# ── cures ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def _cells(report: Json | None) -> dict[str, Json]:
    return {cell["name"]: cell for cell in report["judgement"]["cells"]} if report else {}


def _old(cell: Json) -> dict[str, Json]:
    return {
        each["evaluation"]: each
        for each in cell["learned"]
        if each["role"] == "old" and each["metric"] == "exact-match"
    }


def _new(cell: Json) -> Json:
    found: Json = next(each for each in cell["learned"] if each["role"] == "new")
    return found


def replayed(steps: Json) -> Iterator[str]:
    yield "## Replay"
    rows, apart = [], []
    for seed in (0, 1, 2):
        cells = _cells(steps.get(f"replay-{seed}"))
        without = next((c for name, c in cells.items() if "none" in name), None)
        with_ = next((c for name, c in cells.items() if "none" not in name), None)
        if without is None or with_ is None:
            continue
        fallen = [
            name
            for name, each in _old(without).items()
            if each["after"]["high"] < each["before"]["low"]
            and _old(with_)[name]["after"]["low"] > each["after"]["high"]
        ]
        apart.append(bool(fallen))
        for said, cell in (("no replay", without), ("replay of a fifth", with_)):
            old = ", ".join(f"{name} {percent(_old(cell)[name]['after'])}" for name in fallen) or "–"
            rows.append([str(seed), said, percent(_new(cell)["after"]), signed(cell["forgetting"], 1, "+.3f"), old])
    yield table(
        ["seed", "", "new skill", "nats a token on the retention text", "old skills that fell without it"], rows
    )
    yield claim(
        "an old skill falls without replay and stays with it, intervals apart, for every seed",
        all(apart) and bool(apart),
    )


def _lost(cell: Json) -> str:
    fallen = {skill: each["change"] for skill, each in _old(cell).items() if each["change"]["high"] < 0}
    return ", ".join(f"{skill} {signed(change)}" for skill, change in fallen.items()) or "nothing shown"


def bigger(steps: Json) -> Iterator[str]:
    yield "## A bigger base"
    cells = _cells(steps.get("bigger-base"))
    if len(cells) < 2:
        return
    rows = [
        [name, percent(_new(cell)["after"]), signed(cell["forgetting"], 1, "+.3f"), _lost(cell)]
        for name, cell in cells.items()
    ]
    yield table(["base", "new skill", "nats a token on the retention text", "lost"], rows)
    small, large = cells["tiny-qwen"]["forgetting"], cells["small-qwen"]["forgetting"]
    yield claim("the bigger base forgets less on the retention text, intervals apart", large["high"] < small["low"])


def repaired(steps: Json) -> Iterator[str]:
    yield "## Repair"
    found = steps.get("repair")
    if found is None:
        return
    rows, back, kept = [], [], True
    for each in found["skills"]:
        if each["after"]["metric"] != "exact-match":
            continue
        base, then, now = (each[name] for name in ("base", "parent", "after"))
        new = now["role"] == "new"
        if new:
            kept = now["high"] >= then["low"]
        elif then["high"] < base["low"]:
            back.append((now["evaluation"], now["low"] > then["high"]))
        rows.append([f"{now['evaluation']} ({now['role']})", percent(base), percent(then), percent(now)])
    yield table(["skill", "base", found["parent"], found["adapter"]], rows)
    told = ", ".join(f"{name}{'' if shown else ' (not)'}" for name, shown in back)
    yield claim(
        f"what was lost comes back, intervals apart ({told}), and the new skill is kept",
        bool(back) and any(s for _, s in back) and kept,
    )


# ── comparisons ──────────────────────────────────────────────────────────────────────────────────────────────────────


def _judged(steps: Json, name: str, title: str) -> Iterator[str]:
    report = steps.get(name)
    yield f"## {title}"
    if report is None:
        return
    rows = [
        [cell["name"], ", ".join(f"{e['evaluation']} {percent(e['after'])}" for e in cell["learned"]
                                 if e["role"] == "new" and e["metric"] == "exact-match"),
         signed(cell["forgetting"], 1, "+.3f") if cell["forgetting"] else "", f"{cell['score']:.3f}"]
        for cell in report["judgement"]["cells"]
    ]  # fmt: skip
    yield table(["cell", "unseen rows", "forgot, nats a token", "score"], rows)
    yield " ".join(report["judgement"]["said"])


def bases(steps: Json) -> Iterator[str]:
    yield from _judged(steps, "four-bases", "Four bases")


def sizes(steps: Json) -> Iterator[str]:
    yield from _judged(steps, "data-size", "How much more data would help")
    report = steps.get("data-size")
    for curve in report["judgement"]["curves"] if report else ():
        yield curve["said"]


def capabilities(steps: Json) -> Iterator[str]:
    yield from _judged(steps, "capabilities", "Two skills at once, and apart")
