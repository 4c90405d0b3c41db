"""Each recipe runs as it is, with the tiny model of its family instead of the weights that no test can fetch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from conftest import ROOT

from graftlm.contracts.config import RunConfig
from graftlm.planning.config_file import read_config_file
from graftlm.planning.resolve import resolve
from graftlm.running.train import carry_out
from graftlm.testing.in_process import start_in_process
from graftlm_registry.models import catalogue
from graftlm_registry.plugins import registry

RECIPES = sorted((ROOT / "recipes").glob("*.yaml"))
TINY = {"mistral": "tiny-mistral", "falcon": "tiny-falcon", "glm": "tiny-glm", "qwen2": "tiny-qwen"}


def tiny(path: Path) -> str:
    return next(model for family, model in TINY.items() if path.name.startswith(family))


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_a_recipe_trains(path: Path, home: Path) -> None:
    said: dict[str, Any] = read_config_file(path)
    shortened = {"model": tiny(path), "max_steps": 4, "epochs": None, "device": "cpu", "retention": False}
    plan = resolve(RunConfig(**{**said, **shortened}), registry())
    assert plan.problems == ()
    effective = carry_out(plan, registry(), lambda event: None, start=start_in_process).outcome.effective
    assert effective.dtype == said["dtype"]
    assert bool(effective.quantized_layers) == ("quantization" in said)
    assert effective.gradient_checkpointing
    assert plan.method.rank == said["rank"]


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_a_recipe_names_a_model_of_the_catalogue(path: Path) -> None:
    model = yaml.safe_load(path.read_text(encoding="utf-8"))["model"]
    known = {catalogue().entry(name).hub for name in catalogue().names()}
    assert any(model.startswith(hub.removesuffix("-hf")[:12]) for hub in known if hub)
