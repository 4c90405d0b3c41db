"""``graftlm doctor`` and ``graftlm config keys``."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from graftlm.contracts.config import SETTINGS
from graftlm.source import code_digest

Run = Callable[..., Any]


def test_it_says_what_a_report_needs(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    monkeypatch.setenv("HF_TOKEN", "hf_very-secret")
    monkeypatch.setenv("GRAFTLM_PLUGINS", "none")
    done = run("doctor", "--json")
    assert done.code == 0
    found = json.loads(done.out)
    assert code_digest() in found["graftlm"]["version"]
    assert found["packages"]["torch"] == torch.__version__
    assert {"unsloth", "flash-attn", "liger-kernel", "bitsandbytes", "triton"} <= found["packages"].keys()
    assert "GiB" in found["devices"]["cpu 0"]
    assert found["environments"].keys() == {"trl", "unsloth", "lm-eval"}
    assert found["environments"]["unsloth"] == "not made"
    assert found["settings"]["GRAFTLM_PLUGINS"] == "none"
    assert found["settings"]["HF_TOKEN"] == "set"
    assert "secret" not in done.out


def test_a_machine_that_cannot_be_asked_is_told_and_stops_nothing(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    from graftlm.contracts.errors import RunError
    from graftlm.environments import probing

    def broken(at: Any) -> Any:
        raise RunError("the device probe failed: no driver")

    monkeypatch.setattr(probing, "ask", broken)
    done = run("doctor")
    assert done.code == 0
    assert "the device probe failed: no driver" in done.out
    assert "environments" in done.out


def test_a_broken_plugin_is_in_the_report(run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from graftlm_registry.plugins import registry

    info = tmp_path / "graftlm_broken-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: graftlm-broken\nVersion: 1.0\n", encoding="utf-8")
    (info / "entry_points.txt").write_text("[graftlm.v1]\nbroken = graftlm_broken\n", encoding="utf-8")
    (tmp_path / "graftlm_broken.py").write_text("raise RuntimeError('half written')\n", encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    registry.cache_clear()
    said = json.loads(run("doctor", "--json").out)["plugins of others"]["broken"]
    assert said == "graftlm-broken 1.0: importing graftlm_broken failed: RuntimeError: half written"


def test_the_keys_are_yaml_that_a_run_takes(run: Run, tmp_path: Path) -> None:
    done = run("config", "keys")
    assert done.code == 0
    found = yaml.safe_load(done.out)
    defaults = {name: m["default"] for name, m in SETTINGS.items() if m["default"] is not None}
    assert {name.replace("-", "_"): value for name, value in found.items()} == defaults
    assert all(f"{name.replace('_', '-')}:" in done.out for name in SETTINGS)
