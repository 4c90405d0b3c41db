"""The ``csv`` tracker: read back as a spreadsheet would."""

from __future__ import annotations

import csv
from pathlib import Path

from graftlm.testing import Told, TrackerSuite
from graftlm_registry.runs import Run


class TestCsv(TrackerSuite):
    tracker = "csv"

    def read(self, run: Run) -> Told:
        folder = run.folder / "trackers" / "csv"
        figures = [
            (int(row["step"]), name, float(value))
            for row in rows(folder / "metrics.csv")
            for name, value in row.items()
            if name != "step" and value
        ]
        results = {row["name"]: row["value"] for row in rows(folder / "results.csv")}
        state = results.pop("state")
        return Told(figures, state, {name: float(value) for name, value in results.items()})

    def test_a_line_that_was_cut_short_is_none(self) -> None:
        run = self.run()
        first = self.trackers(run)
        first.finish("stopped")
        path = run.folder / "trackers" / "csv" / "metrics.csv"
        with path.open("a", encoding="utf-8") as file:
            file.write("1,2.0,,0.0001,1.5,1001.25,64,1048576\r\n2,1.0,,0.00")
        second = self.trackers(run)
        second.on_event({"event": "metric", "step": 1, "loss": 2.0})
        second.on_event({"event": "metric", "step": 2, "loss": 1.0, "validation_loss": 3.0})
        second.finish("done")
        assert self.read(run).of("loss") == {1: 2.0, 2: 1.0}
        assert self.read(run).of("validation_loss") == {2: 3.0}


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))
