"""A report on data as people read it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from graftlm.cli.tables import table

if TYPE_CHECKING:
    from graftlm.checking.distributions import Distribution
    from graftlm.checking.report import DataReport, Finding

BLOCKS = "▁▂▃▄▅▆▇█"
WIDTH = 16
"""Characters of a histogram."""
COLOURS = {"error": "red", "warning": "yellow", "information": "cyan"}
MOST_CLASSES = 20
SHOWN = 5
"""Places told of a finding that is no error; ``--json`` has more."""


def report_text(report: DataReport) -> str:
    """What the data is, how long it is, what was found, and the verdict in the last line."""
    parts = [table(_facts(report))] if report.rows else []
    spread = _spread(report)
    if spread:
        parts.append(table(spread, ("", "least", "median", "95%", "most", "spread")))
    if report.classes:
        parts.append(_classes(report))
    parts += [_finding(finding) for finding in report.findings]
    return "\n\n".join([*parts, _verdict(report)])


def _facts(report: DataReport) -> list[tuple[str, str]]:
    contents, samples = report.contents, report.samples
    files = f" in {report.files} files" if report.files > 1 else ""
    splits = ", ".join(f"{count:,} {name}" for name, count in report.splits.items() if count)
    facts = [
        ("data", f"{report.data} ({report.format})"),
        ("rows", f"{report.rows:,}{files}: {splits}"),
        ("turns", ", ".join(f"{count:,} {role}" for role, count in contents.roles.items())),
    ]
    more = [(contents.documents, "texts without turns"), (contents.thoughts, "thoughts"), (contents.tools, "tools")]
    if any(count for count, _ in more):
        facts.append(("rows with", ", ".join(f"{what} {count:,}" for count, what in more if count)))
    if contents.capabilities:
        facts.append(("capabilities", ", ".join(f"{name} {count:,}" for name, count in contents.capabilities.items())))
    if samples and not samples.broken:
        trained = f", {samples.trained_share:.0%} of their tokens trained" if samples.samples else ""
        facts += [
            ("model", f"{samples.model}, template {samples.template}, --max-length {samples.max_length:,}"),
            ("samples", f"{samples.samples:,}" + trained),
        ]
    if report.near:
        facts.append(("near duplicates", _near(report)))
    return facts


def _near(report: DataReport) -> str:
    assert report.near is not None
    found = f"{report.near.rows:,}" if report.near.rows else "none"
    return f"{found} (similarity of words and pairs of words {report.near.threshold:g} or more, found by MinHash)"


def _spread(report: DataReport) -> list[tuple[str, ...]]:
    contents, samples = report.contents, report.samples
    named: list[tuple[str, Distribution | None]] = [
        ("turns a conversation", contents.turns if contents.documents < report.rows else None),
        ("characters a turn", contents.characters),
    ]
    if samples:
        named += [("tokens a row", samples.tokens), ("tokens trained", samples.answer_tokens)]
    return [
        (name, *(f"{n:,}" for n in (spread.min, spread.median, spread.p95, spread.max)), _bars(spread))
        for name, spread in named
        if spread
    ]


def _bars(spread: Distribution) -> str:
    """A histogram in a line: from the least to the most, what is rare at the end in one."""
    step = -(-len(spread.bins) // WIDTH)
    counts = [sum(c for _, _, c in spread.bins[i : i + step]) for i in range(0, len(spread.bins), step)]
    return "".join(BLOCKS[-(-count * (len(BLOCKS) - 1) // max(counts))] if count else "·" for count in counts)


def _classes(report: DataReport) -> str:
    assert report.classes is not None
    from graftlm.checking.wording import quoted

    most = list(report.classes.counts.items())[:MOST_CLASSES]
    names = [name for name, count in report.splits.items() if count]
    rows = [(quoted(answer), *(f"{counts[name]:,}" for name in ("rows", *names))) for answer, counts in most]
    left = len(report.classes.counts) - len(most)
    return table(rows, ("answer", "rows", *names)) + (f"\nand {left} more" if left else "")


def _finding(finding: Finding) -> str:
    most = len(finding.details) if finding.level == "error" else SHOWN
    places = finding.details[:most]
    left = finding.rows - len(places)
    more = [f"and {left:,} more"] if places and left > 0 else []
    head = click.style(finding.level, fg=COLOURS[finding.level], bold=True)
    return "\n".join([f"{head}: {finding.message}", *(f"  {line}" for line in (*finding.notes, *places, *more))])


def _verdict(report: DataReport) -> str:
    errors, warnings = report.count("error"), report.count("warning")
    looked = f"{warnings} {'warning' if warnings == 1 else 'warnings'}"
    if errors:
        things = "1 thing" if errors == 1 else f"{errors} things"
        return click.style(f"{things} must be mended before training ({looked}).", fg="red")
    return click.style(f"Nothing must be mended ({looked}).", fg="green")
