"""``mlflow``: a tracking server, or a store of its own, through the client of ``mlflow-skinny``."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterable, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import urlsplit

from graftlm.api import Option, Requirement, Tracker, hookimpl

if TYPE_CHECKING:
    from graftlm.api import TrackedRun

RUN, STORE = "run-id", "store"
LONGEST = 6000
"""Characters of a parameter's value that a server takes."""
METRICS, PARAMETERS = 1000, 100
"""What a server takes in one request."""
EVERY = 1.0
"""Seconds between requests: one takes a hundredth of a second and more, and a step may take less."""
NO_SERVER = (
    "has no server: give --set tracker.uri=http://HOST:PORT or MLFLOW_TRACKING_URI, or install the whole of MLflow, "
    "which keeps a store here (run: pip install mlflow)"
)
PLAIN_FILES = (
    "keeps no more stores of plain files by itself: give --set tracker.uri=sqlite:///FILE or a server, or set "
    "MLFLOW_ALLOW_FILE_STORE=true"
)
ENDED = {"done": "FINISHED", "stopped": "KILLED", "failed": "FAILED"}


class MlflowTracking:
    """A run of MLflow. Its id is kept in the tracker's folder, so that a run that goes on is the same run there; what
    the server has of a step cannot be taken back, so that a step that is done again stays as it was first told.
    """

    def __init__(self, run: TrackedRun) -> None:
        os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")  # what of MLflow is used, told to its makers
        os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")  # which may have to be JSON
        from mlflow import MlflowClient

        self._waiting: list[Any] = []
        self._sent = 0.0
        self._client = MlflowClient(tracking_uri=_store(run))
        known = run.folder / RUN
        if known.is_file():
            self._id = known.read_text(encoding="utf-8")
            told = self._client.get_metric_history(self._id, "loss")
            self.held = max((metric.step for metric in told), default=0)
            self._client.update_run(self._id, status="RUNNING")
        else:
            self.held = 0
            experiment = _experiment(self._client, run.options["experiment"])
            made = self._client.create_run(experiment, run_name=f"{run.adapter} {run.name}", tags={"run": run.name})
            self._id = str(made.info.run_id)
            self._parameters(run.settings)
            known.write_text(self._id, encoding="utf-8")

    def step(self, step: int, values: Mapping[str, float]) -> None:
        """Steps that follow each other quickly are sent together. The loss comes last: a step that has one is there
        whole.
        """
        self._keep({name: values[name] for name in sorted(values, key=lambda name: name == "loss")}, step)
        if time.monotonic() - self._sent >= EVERY:
            self._send()

    def finish(
        self, state: Literal["done", "stopped", "failed"], results: Mapping[str, float], files: Sequence[Path]
    ) -> None:
        try:
            self._keep(results, 0)
            self._send()
            for path in files:
                self._client.log_artifact(self._id, str(path))
        finally:
            self._client.set_terminated(self._id, ENDED[state])

    def _keep(self, values: Mapping[str, float], step: int) -> None:
        from mlflow.entities import Metric

        now = round(time.time() * 1000)
        self._waiting += [Metric(known_name(name), value, now, step) for name, value in values.items()]

    def _send(self) -> None:
        for first in range(0, len(self._waiting), METRICS):
            self._client.log_batch(self._id, metrics=self._waiting[first : first + METRICS])
        self._waiting.clear()
        self._sent = time.monotonic()

    def _parameters(self, settings: Mapping[str, Any]) -> None:
        from mlflow.entities import Param

        params = [Param(known_name(name), str(value)[:LONGEST]) for name, value in settings.items()]
        for first in range(0, len(params), PARAMETERS):
            self._client.log_batch(self._id, params=params[first : first + PARAMETERS])


def known_name(name: str) -> str:
    """With the characters that MLflow has in names."""
    return re.sub(r"[^\w\-. /]", "_", name)


def _experiment(client: Any, name: str) -> str:
    found = client.get_experiment_by_name(name)
    return str(found.experiment_id if found is not None else client.create_experiment(name))


def _store(run: TrackedRun) -> str:
    """What was asked for. Where nobody says, MLflow's own default is beside where it was first called from: that is
    kept, for a run that goes on elsewhere.
    """
    asked = run.options["uri"] or os.environ.get("MLFLOW_TRACKING_URI", "")
    if asked:
        return str(asked)
    note = run.folder / STORE
    if not note.is_file():
        from mlflow import get_tracking_uri

        note.write_text(get_tracking_uri(), encoding="utf-8")
    return note.read_text(encoding="utf-8")


def check(options: Mapping[str, Any]) -> Sequence[str]:
    uri = options["uri"] or os.environ.get("MLFLOW_TRACKING_URI", "")
    if options["uri"] and urlsplit(options["uri"]).password:
        return (
            "has a password in its uri, which would stand in the run's files: set MLFLOW_TRACKING_USERNAME and "
            "MLFLOW_TRACKING_PASSWORD instead",
        )
    scheme = urlsplit(uri).scheme
    if scheme in ("http", "https") or uri.startswith(("databricks", "uc")):
        return ()
    if uri and scheme in ("", "file"):
        return () if os.environ.get("MLFLOW_ALLOW_FILE_STORE", "").lower() in ("true", "1") else (PLAIN_FILES,)
    return () if find_spec("sqlalchemy") else (NO_SERVER,)


@hookimpl
def graftlm_trackers() -> Iterable[Tracker]:
    yield Tracker(
        name="mlflow",
        summary="an MLflow server, or a store here",
        target="graftlm_plugins.trackers.mlflow:MlflowTracking",
        requires=(Requirement(distribution="mlflow-skinny", minimum="3.17", below="4", extra="trackers"),),
        check=check,
        options=(
            Option(name="uri", type="str", default="", help="the server or store (empty: as MLFLOW_TRACKING_URI says)"),
            Option(name="experiment", type="str", default="graftlm", help="the experiment; made where there is none"),
        ),
    )
