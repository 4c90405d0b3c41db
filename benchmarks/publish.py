"""Puts the reports of finished comparisons into ``benchmarks/results/DATE-SUITE``, with their runs in one archive.

The archive is what ``graftlm bench report`` makes the page from: the page itself is half script.

``python publish.py FOLDER …``; the table in ``docs/guide/benchmarks.md`` is that of the suite ``cpu``.
"""

from __future__ import annotations

import shutil
import sys
import tarfile
from pathlib import Path

from graftlm.comparing.model import Report
from graftlm.comparing.record import read_record
from graftlm.comparing.report.files import write_report
from graftlm.comparing.report.markdown import readme_table
from graftlm.comparing.results import ResultFolder

ROOT = Path(__file__).resolve().parents[1]
FIGURES = ("report.md", "report.json")
PAGE = ROOT / "docs" / "guide" / "benchmarks.md"
BEGIN, END = "<!-- bench: begin -->", "<!-- bench: end -->"


def publish(folder: Path) -> str:
    """Where it is now; what is not finished stays where it is."""
    report, _ = write_report(folder)
    title = read_record(ResultFolder(folder)).suite.title
    if waiting := [cell.name for cell in report.cells if cell.status in ("unfinished", "failed")]:
        return f"{folder} is not finished ({len(waiting)} cells, the first '{waiting[0]}'): nothing was published"
    target = ROOT / "benchmarks" / "results" / f"{report.created[:10]}-{title}"
    target.mkdir(parents=True, exist_ok=True)
    for name in FIGURES:
        shutil.copyfile(folder / name, target / name)
    with tarfile.open(target / "runs.tar.xz", "w:xz") as archive:
        for name in ("suite.json", "runs"):
            archive.add(folder / name, arcname=name)
    if title == "cpu":
        _into_page(f"{_caption(report, target)}\n\n{readme_table(report)}")
    return f"kept in {target}"


def _caption(report: Report, target: Path) -> str:
    place = target.relative_to(ROOT)
    where = report.about.get("device") or report.about["processor"]
    page = f"tar xf {place}/runs.tar.xz --one-top-level=cpu && graftlm bench report cpu"
    return (
        f"{report.created[:10]}, {where}, medians of {report.rounds} rounds, ratios of tokens/s to `trainer` with 95% "
        f"intervals ([the whole report](../../{place}/report.md); `{page}` makes its page):"
    )


def _into_page(table: str) -> None:
    text = PAGE.read_text(encoding="utf-8")
    begin, end = text.index(BEGIN) + len(BEGIN), text.index(END)
    PAGE.write_text(f"{text[:begin]}\n{table.strip()}\n{text[end:]}", encoding="utf-8")


if __name__ == "__main__":
    for given in sys.argv[1:]:
        print(publish(Path(given)))
