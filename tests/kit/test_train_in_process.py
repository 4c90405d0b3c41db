"""A whole run in the process of a test."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from graftlm.testing.in_process import train_in_process


def test_a_run_is_trained_proved_and_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GRAFTLM_HOME", str(tmp_path / "home"))
    data = tmp_path / "rows.jsonl"
    data.write_text("".join(json.dumps({"input": f"{i}", "output": f"{i}"}) + "\n" for i in range(16)))
    done = train_in_process(
        data=str(data), model="tiny-mistral", name="said", max_steps=2, batch_size=4, retention=False
    )  # fmt: skip
    assert len(done.outcome.losses) == 2
    assert (done.record.name, done.record.version) == ("said", 1)
