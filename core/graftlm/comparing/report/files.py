"""The report's files, beside the results."""

from __future__ import annotations

import json
from pathlib import Path

from graftlm.comparing.model import Report
from graftlm.comparing.record import read_record
from graftlm.comparing.results import ResultFolder
from graftlm.comparing.summary import report
from graftlm.contracts.errors import StoreError, UsageError
from graftlm.contracts.serial import from_json

from .markdown import markdown
from .page import page


def write_report(root: Path) -> tuple[Report, tuple[Path, ...]]:
    """``report.md``, ``report.html`` and ``report.json`` of a comparison's folder."""
    made = report_of(root)
    contents = {
        "report.md": markdown(made),
        "report.html": page(made),
        "report.json": json.dumps(made.to_builtins()) + "\n",
    }
    written = tuple(root / name for name in contents)
    try:
        for path, text in zip(written, contents.values(), strict=True):
            path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise StoreError(f"{error.filename} cannot be written: {error.strerror}") from None
    return made, written


def report_of(root: Path) -> Report:
    """Of a folder of results, or of a ``report.json`` by itself."""
    if root.is_file():
        return from_json(root.read_bytes(), Report, str(root))
    if not root.is_dir():
        raise UsageError(f"there is no folder {root}")
    folder = ResultFolder(root)
    return report(read_record(folder), folder.read(), root)
