"""A run as people read it."""

from __future__ import annotations

from graftlm.running.account import Account, Kept
from graftlm.running.glance import moment

from ..results import spike_lines
from ..tables import size, table
from ..terminal import visible

MOST_WARNINGS = 5


def account_text(found: Account) -> str:
    """A table, and what can be done next."""
    seen, plan = found.glance, found.plan
    rows = [("run", seen.run.name), ("state", _state(found))]
    if seen.status.ending and seen.status.ending.message:
        rows.append(("why", visible(seen.status.ending.message)))
    rows.append(("adapter", seen.adapter))
    if plan is not None:
        backend = plan.part("backend").name
        rows.append(("trains", f"{plan.method.name} on {plan.model.name} with {backend} on {plan.device}"))
        rows.append(("data", ", ".join(f"{split.rows:,} {split.name}" for split in plan.data.splits) + " rows"))
    rows += [("steps", f"{seen.step:,} of {seen.steps:,}"), *_losses(found)]
    if found.resumed:
        times = "once" if len(found.resumed) == 1 else f"{len(found.resumed)} times"
        after = ", ".join(f"{step:,}" for step in found.resumed)
        rows.append(("gone on with", f"{times}, after step{'s' * (len(found.resumed) > 1)} {after}"))
    if found.too_large:
        rows.append(("no memory for", f"micro-batches of {', '.join(map(str, found.too_large))}"))
    rows += [("checkpoint", _checkpoint(each)) for each in found.checkpoints]
    if found.from_where:
        rows.append(("goes on", found.from_where))
    rows += [("warning", visible(warning)) for warning in found.warnings[:MOST_WARNINGS]]
    rows += [(name, str(path)) for name, path in found.files.items()]
    if seen.bytes:
        rows.append(("kept to go on", size(seen.bytes)))
    return f"{table(rows)}\n\n{table(_next(found))}"


def _state(found: Account) -> str:
    seen, status = found.glance, found.glance.status
    if status.supervisor is not None:
        where = "detached" if status.supervisor.detached else "in a terminal"
        return f"running, {where}, as process {status.supervisor.process} since {moment(status.supervisor.since)} (UTC)"
    what = {"lost": "lost: its process was killed, or the machine went down; the last sign of it was"}
    return f"{what.get(status.state, status.state)} {moment(seen.time)} (UTC)"


def _losses(found: Account) -> list[tuple[str, str]]:
    if found.glance.loss is None:
        return []
    validation = "" if found.validation is None else f", validation {found.validation:.4f}"
    return [("loss", f"{found.glance.loss:.4f}{validation}"), *(("", line) for line in spike_lines(found.spikes))]


def _checkpoint(each: Kept) -> str:
    if each.problem:
        return f"step {each.step:,}: damaged ({each.problem})"
    return f"step {each.step:,}: verified, {size(each.bytes)}"


def _next(found: Account) -> list[tuple[str, str]]:
    name, status = found.glance.run.name, found.glance.status
    if status.state == "running":
        return [("watch it", f"graftlm runs logs --follow {name}"), ("stop it", f"graftlm runs stop {name}")]
    if status.state == "done":
        return [
            ("what came of it", f"graftlm adapters show {found.glance.adapter}"),
            ("ask it", f'graftlm generate {found.glance.adapter} "…"'),
        ]
    again = [("go on", f"graftlm runs resume {name}")] if found.from_where else []
    return [*again, ("remove it", f"graftlm runs rm {name}")]
