"""The ``wandb`` tracker, offline: its transaction logs are read back by W&B's own messages."""

from __future__ import annotations

import json
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from graftlm.testing import Told, TrackerSuite
from graftlm_plugins.trackers.wandb import check
from graftlm_plugins.trackers.wandb_log import records, wait_for_the_end
from graftlm_registry.runs import Run

pytest.importorskip("wandb")


class TestWandb(TrackerSuite):
    tracker = "wandb"
    shared = ("WANDB_SERVICE",)

    def options(self) -> dict[str, Any]:
        return {"mode": "offline", "project": "tried", "tags": ["a", "b"]}

    def read(self, run: Run) -> Told:
        figures: list[tuple[int, str, float]] = []
        summary: dict[str, Any] = {}
        for path in logs(run):
            for record in records(path):
                for item in record.history.item:
                    name = "/".join(item.nested_key) or item.key
                    if not name.startswith("_"):
                        figures.append((record.history.step.num, name, float(value_of(item))))
                for item in record.summary.update:
                    summary["/".join(item.nested_key) or item.key] = value_of(item)
        state = summary.pop("state", "")
        return Told(figures, state, {n: float(v) for n, v in summary.items() if isinstance(v, int | float)})

    def test_every_process_tells_of_one_run(self) -> None:
        run = self.run()
        self.trackers(run).finish("stopped")
        self.trackers(run).finish("done")
        found = [record.run for path in logs(run) for record in records(path) if record.HasField("run")]
        assert len(logs(run)) == 2
        assert {each.run_id for each in found} == {run.name}
        assert {each.project for each in found} == {"tried"}
        assert {tuple(each.tags) for each in found} == {("a", "b")}
        config = {item.key: json.loads(item.value_json) for item in found[0].config.update if item.key != "_wandb"}
        assert config["model"] == "tiny-mistral"
        assert not any(name.startswith("tracker.") for name in config)


def test_an_end_that_comes_late_is_waited_for(tmp_path: Path) -> None:
    """W&B's process writes when it gets there: here half a second after its library's last word."""
    import wandb

    run = wandb.init(
        mode="offline", dir=str(tmp_path), reinit="create_new", settings=wandb.Settings(silent=True, console="off")
    )
    run.log({"loss": 1.0}, step=1)
    run.finish()
    path = Path(run.settings.sync_file)
    wait_for_the_end(path, 20)
    whole = path.read_bytes()
    assert list(records(path))[-1].HasField("exit")
    path.write_bytes(whole[:-20])
    assert not any(record.HasField("exit") for record in records(path))
    late = threading.Timer(0.5, lambda: path.write_bytes(whole))
    late.start()
    begun = time.monotonic()
    wait_for_the_end(path, 20)
    assert list(records(path))[-1].HasField("exit")
    assert time.monotonic() - begun < 15
    late.join()
    path.write_bytes(whole[:-20])
    wait_for_the_end(path, 0.1)  # what never ends is waited for no longer than that


def test_who_is_not_logged_in_is_told_before_the_run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("WANDB_API_KEY", "WANDB_MODE", "WANDB_IDENTITY_TOKEN_FILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    assert "wandb login" in check({"mode": "auto"})[0]
    assert "wandb login" in check({"mode": "online"})[0]
    assert not check({"mode": "offline"})
    monkeypatch.setenv("WANDB_MODE", "offline")
    assert not check({"mode": "auto"})
    assert check({"mode": "online"})
    (tmp_path / "netrc").write_text("machine wandb.example login user password key", encoding="utf-8")
    assert not check({"mode": "online"})


def logs(run: Run) -> list[Path]:
    return sorted((run.folder / "trackers" / "wandb").glob("wandb/offline-run-*/run-*.wandb"))


def value_of(item: Any) -> Any:
    """As JSON, which W&B writes without quotes where it is no number."""
    return json.loads(item.value_json)
