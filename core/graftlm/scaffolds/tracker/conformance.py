"""What is asked of ``acme``: run by ``pytest`` (``tests``) and by ``graftlm plugins check tracker/acme``."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from graftlm.testing import Told, TrackerSuite

from . import END, lines

if TYPE_CHECKING:
    from graftlm_registry.runs import Run


class AcmeSuite(TrackerSuite):
    tracker = "acme"

    def read(self, run: Run) -> Told:
        """What it knows of a run: read as whoever looks at the figures would, with a library's own reader."""
        folder = run.folder / "trackers" / "acme"
        told = lines(folder / "steps.jsonl")
        figures = [(line["step"], name, float(line[name])) for line in told for name in line if name != "step"]
        end = json.loads((folder / END).read_text(encoding="utf-8"))
        return Told(figures, end["state"], {name: float(value) for name, value in end["results"].items()})
