"""Results as a report: cells judged, figures put together, ratios to the baseline."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path

from graftlm.contracts.serial import to_json as dump

from .cells import word
from .classes import Judged, judged
from .figures import MEASURES, measured, scores
from .judgement import judgement
from .model import CellReport, Judgement, Measure, Ratio, Relation, Report, Status
from .ratios import figure, paired_ratio
from .record import CellRecord, SuiteRecord
from .results import RunResult
from .sweeps import sweeps

TOLD = ("torch", "transformers", "peft", "trl", "unsloth", "flash-attn", "bitsandbytes", "torchao", "triton")
"""Packages whose versions stand beside a cell."""
ENOUGH = 5
"""Rounds from which a 95% interval holds what it says, nearly."""
SAME_TIME = timedelta(hours=2)
"""Within which a round of all cells should be over."""


def report(record: SuiteRecord, results: Sequence[RunResult], root: Path = Path()) -> Report:
    """Of all results of a comparison's folder ``root``, which holds the per-sample files of one that judges."""
    suite, names = record.suite, {cell.name for cell in record.cells}
    runs = {
        name: [run for run in results if run.cell == name and not run.error and run.round <= suite.repeat]
        for name in names
    }
    errors = {run.cell: run.error for run in results if run.error and run.round <= suite.repeat}
    classes, described = judged(record.cells, runs, suite)
    cells = [_cell(cell, record, runs, errors, classes) for cell in record.cells]
    finished = [run for each in runs.values() for run in each]
    return Report(
        title=suite.title,
        created=max((run.finished for run in finished), default=record.created)[:19].replace("T", " ") + " UTC",
        about=_about(record, finished),
        settings=_shared(record),
        rounds=suite.repeat,
        warmup=suite.warmup,
        measures=(*MEASURES, *_scored(finished)),
        cells=tuple(cells),
        computations=described,
        sweeps=sweeps(suite, record.cells, runs, suite.warmup),
        notes=_notes(record, finished),
        judgement=_judgement(record, runs, root),
    )


def _judgement(record: SuiteRecord, runs: Mapping[str, Sequence[RunResult]], root: Path) -> Judgement | None:
    if not record.suite.judges:
        return None
    first = {cell.name: runs[cell.name][0] for cell in record.cells if runs[cell.name]}
    return judgement(root, first, record.suite.weights, record.suite.warmup)


def _cell(
    cell: CellRecord,
    record: SuiteRecord,
    runs: Mapping[str, Sequence[RunResult]],
    errors: Mapping[str, str],
    classes: Mapping[str, Judged],
) -> CellReport:
    mine, suite = runs[cell.name], record.suite
    if not mine:
        status: Status = "unavailable" if cell.problem else "failed" if cell.name in errors else "unfinished"
        reason = cell.problem or errors.get(cell.name, "no run of it is finished")
        return CellReport(name=cell.name, settings=cell.shown, status=status, reason=reason)
    baseline = cell.baseline
    own, found = classes[cell.name], [(run.round, measured(run, suite.warmup)) for run in mine]
    relation = _relation(cell.name, baseline, classes)
    other = {run.round: measured(run, suite.warmup) for run in runs.get(baseline, ())}
    compared = relation in ("same computation", "another computation")
    ratios = _ratios(dict(found), other) if compared else {}
    whole = len(mine) == suite.repeat
    first, reasons = mine[0], [] if own.comparable else [own.reason]
    if cell.name in errors:
        reasons.append(f"a later run failed: {errors[cell.name]}")
    return CellReport(
        name=cell.name,
        settings=cell.shown,
        status="finished" if whole else "failed" if cell.name in errors else "unfinished",
        reason="; ".join(reasons) or ("" if whole else f"{len(mine)} of {suite.repeat} rounds are finished"),
        rounds=len(mine),
        computation=own.computation,
        relation=relation,
        baseline="" if relation in ("baseline", "none") else baseline,
        checks=own.checks,
        figures={
            name: figure([values[name] for _, values in found if name in values])
            for name in dict.fromkeys(name for _, values in found for name in values)
        },
        ratios=ratios,
        step_seconds=tuple(step.seconds for run in mine for step in run.steps[suite.warmup :]),
        losses=tuple(step.loss for step in first.steps),
        validation=first.validation,
        ran=_ran(first),
    )


def _ratios(mine: Mapping[int, Mapping[str, float]], other: Mapping[int, Mapping[str, float]]) -> Mapping[str, Ratio]:
    """By measure's name; ``mine`` and ``other`` are figures by round."""
    found = {}
    for measure in MEASURES:
        if measure.compared:
            a, b = (
                {number: values[measure.name] for number, values in each.items() if measure.name in values}
                for each in (mine, other)
            )
            if (ratio := paired_ratio(a, b, measure)) is not None:
                found[measure.name] = ratio
    return found


def _relation(name: str, baseline: str, classes: Mapping[str, Judged]) -> Relation:
    if not classes[name].comparable:
        return "not comparable"
    if name == baseline:
        return "baseline"
    if baseline not in classes or not classes[baseline].comparable:
        return "none"
    same = classes[name].computation == classes[baseline].computation
    return "same computation" if same else "another computation"


def _about(record: SuiteRecord, runs: Sequence[RunResult]) -> Mapping[str, str]:
    versions: dict[str, set[str]] = {}
    for run in runs:
        for package, version in (run.effective.versions if run.effective else {}).items():
            if package in TOLD:
                versions.setdefault(package, set()).add(version)
    said = ", ".join(f"{package} {' and '.join(sorted(v))}" for package, v in versions.items())
    commits = sorted({run.git for run in runs if run.git}) or [record.git]
    return {**record.machine, "packages": said, "graftlm": f"commit {', '.join(commits)}" if commits[0] else ""}


def _shared(record: SuiteRecord) -> Mapping[str, str]:
    """What every cell was asked for, beside what varies."""
    return {
        key.replace("_", "-"): word(key, value)
        for key, value in record.suite.base.items()
        if all(key not in cell.shown for cell in record.cells)
    }


def _scored(runs: Sequence[RunResult]) -> tuple[Measure, ...]:
    found = {name: measure for run in runs for name, (_, measure) in scores(run).items()}
    return tuple(found.values())


def _notes(record: SuiteRecord, runs: Sequence[RunResult]) -> tuple[str, ...]:
    found = []
    if any(run.git.endswith("+") for run in runs):
        found.append("graftlm's files differed from the commit (+)")
    machines = {dump(run.machine) for run in runs}
    if len(machines) > 1:
        found.append(f"the runs are from {len(machines)} machines: ratios are within rounds, and may mix them")
    if any(len({run.plan.hash for run in runs if run.cell == cell.name}) > 1 for cell in record.cells):
        found.append("the runs of a cell are of several plans: data, packages or code changed between them")
    if runs and record.suite.repeat < ENOUGH and not record.suite.judges:
        few = (
            "one round there is no interval"
            if record.suite.repeat == 1
            else f"{record.suite.repeat} rounds an interval is easily too narrow"
        )
        found.append(f"with {few}: take {ENOUGH} or more")
    found += _apart(record, runs)
    return tuple(found)


def _apart(record: SuiteRecord, runs: Sequence[RunResult]) -> list[str]:
    """Rounds of a cell that ran long after its baseline's are no real pairs."""
    when = {(run.cell, run.round): datetime.fromisoformat(run.finished) for run in runs}
    late = []
    for cell in record.cells:
        baseline = cell.baseline
        pairs = [
            (t, when[baseline, number])
            for (name, number), t in when.items()
            if name == cell.name and (baseline, number) in when
        ]
        if any(abs(a - b) > SAME_TIME for a, b in pairs):
            late.append(cell.name)
    if not late:
        return []
    return [f"rounds of {', '.join(late)} ran hours from those of the baseline: what changed between is in no interval"]


def _ran(run: RunResult) -> Mapping[str, str]:
    """What really ran, in words."""
    ran = run.effective
    assert ran is not None
    others = ", ".join(f"{what} ({count})" for what, count in ran.patched.items())
    quantized = f", {ran.quantized_layers} of {ran.linear_layers} layers quantized" if ran.quantized_layers else ""
    found = {
        "attention": ran.attention + (", packed without padding" if ran.packing else ""),
        "precision": ran.dtype + quantized,
        "loss": ran.loss,
        "adapted": f"{ran.adapted_layers} of {ran.linear_layers} linear layers, "
        f"{ran.trainable_parameters:,} of {ran.total_parameters:,} parameters",
        "micro-batch": f"{ran.micro_batch} of {run.plan.training.step_size}",
        "environment": f"{run.plan.environment} {run.plan.lock}".strip(),
        "accelerated": ", ".join(ran.accelerated),
        "code of others": others,
        "versions": ", ".join(f"{name} {v}" for name, v in ran.versions.items() if name in TOLD),
    }
    return {name: said for name, said in found.items() if said}
