"""The ``mlflow`` tracker, into a store of files: read back by MLflow's own client."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import pytest

from graftlm.testing import Told, TrackerSuite
from graftlm_plugins.trackers.mlflow import check, known_name
from graftlm_registry.runs import Run

pytest.importorskip("mlflow")
STATES = {"FINISHED": "done", "KILLED": "stopped", "FAILED": "failed"}


class TestMlflow(TrackerSuite):
    tracker = "mlflow"

    @pytest.fixture(autouse=True, scope="class")
    def _store(self) -> Iterator[None]:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
            yield

    def options(self) -> dict[str, Any]:
        return {"uri": (self.folder / "store").as_uri(), "experiment": "tried"}

    def client(self) -> Any:
        from mlflow import MlflowClient

        return MlflowClient(tracking_uri=self.options()["uri"])

    def kept(self, run: Run) -> Any:
        """What MLflow has of the run: one, whatever became of it."""
        client = self.client()
        experiment = client.get_experiment_by_name("tried")
        (found,) = client.search_runs([experiment.experiment_id], f"tags.run = '{run.name}'")
        return found

    def read(self, run: Run) -> Told:
        kept, client = self.kept(run), self.client()
        histories = [client.get_metric_history(kept.info.run_id, name) for name in kept.data.metrics]
        figures = [(metric.step, metric.key, metric.value) for told in histories for metric in told if metric.step]
        results = {metric.key: metric.value for told in histories for metric in told if not metric.step}
        return Told(figures, STATES.get(kept.info.status, ""), results)

    def test_settings_and_files_are_there(self) -> None:
        run = self.run()
        self.trackers(run).finish("stopped")
        kept = self.kept(run)
        assert kept.data.params["model"] == "tiny-mistral"
        assert kept.data.params["method.use_rslora"] == "False"
        assert kept.info.run_name == f"rows {run.name}"
        assert not any(name.startswith("tracker.") for name in kept.data.params)
        assert os.environ["MLFLOW_DISABLE_TELEMETRY"] == "true"


def test_where_there_is_no_server_the_plan_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.delenv("MLFLOW_ALLOW_FILE_STORE", raising=False)
    monkeypatch.setattr("graftlm_plugins.trackers.mlflow.find_spec", lambda name: None)
    assert "no server" in check({"uri": ""})[0]
    assert "no server" in check({"uri": "sqlite:///a.db"})[0]
    assert "plain files" in check({"uri": "./mlruns"})[0]
    assert "password" in check({"uri": "http://me:secret@example.org"})[0]
    assert not check({"uri": "http://example.org:5000"})
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "https://example.org")
    assert not check({"uri": ""})


def test_names_have_the_characters_that_mlflow_has() -> None:
    assert known_name("retention text/loss/after") == "retention text/loss/after"
    assert known_name("my-skill/chrF++/before") == "my-skill/chrF__/before"
