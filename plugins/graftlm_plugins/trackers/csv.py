"""``csv``: a table with a row for each step, which every spreadsheet reads; no library is needed."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from graftlm.api import Tracker, hookimpl

if TYPE_CHECKING:
    from graftlm.api import TrackedRun

METRICS, RESULTS = "metrics.csv", "results.csv"
STEP = "step"
COLUMNS = ("loss", "validation_loss", "learning_rate", "gradient_norm", "tokens_per_second", "tokens", "memory")


class CsvTracking:
    """``FOLDER/metrics.csv``; when the run ends, ``results.csv`` with its state and its results."""

    def __init__(self, run: TrackedRun) -> None:
        self._folder = run.folder
        self._columns = [STEP, *COLUMNS]
        rows = [row for row in self._rows() if int(row[STEP]) <= run.resumed_after]
        self._write(rows)
        self.held = max((int(row[STEP]) for row in rows), default=0)

    def step(self, step: int, values: Mapping[str, float]) -> None:
        if new := [name for name in values if name not in self._columns]:
            rows = self._rows()
            self._columns += new
            self._write(rows)
        with (self._folder / METRICS).open("a", newline="", encoding="utf-8") as file:
            csv.DictWriter(file, self._columns).writerow(
                {STEP: step, **{name: _number(v) for name, v in values.items()}}
            )

    def finish(
        self, state: Literal["done", "stopped", "failed"], results: Mapping[str, float], files: Sequence[Path]
    ) -> None:
        with (self._folder / RESULTS).open("w", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows([("name", "value"), ("state", state), *results.items()])

    def _rows(self) -> list[dict[str, str]]:
        """Those that were written whole."""
        path = self._folder / METRICS
        if not path.is_file():
            return []
        with path.open(newline="", encoding="utf-8") as file:
            lines = (line for line in file if line.endswith("\n"))
            reader = csv.DictReader(lines)
            self._columns = list(reader.fieldnames or self._columns)
            return list(reader)

    def _write(self, rows: Iterable[Mapping[str, str]]) -> None:
        fresh = self._folder / f".{METRICS}"
        with fresh.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, self._columns)
            writer.writeheader()
            writer.writerows(rows)
        fresh.replace(self._folder / METRICS)


def _number(value: float) -> float | int:
    return int(value) if value.is_integer() else value


@hookimpl
def graftlm_trackers() -> Iterable[Tracker]:
    yield Tracker(
        name="csv",
        summary="a row a step in RUN/trackers/csv/metrics.csv",
        target="graftlm_plugins.trackers.csv:CsvTracking",
    )
