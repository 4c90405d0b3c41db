"""Every architecture, precision, method and RoPE together: train, stage, reload, generate, merge, and count."""

from __future__ import annotations

import itertools
import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from conftest import alpaca_rows
from small_models import ARCHITECTURES, configuration, small_model

from graftlm.contracts.config import RunConfig
from graftlm.contracts.errors import UsageError
from graftlm.planning.resolve import resolve
from graftlm.running.answer import answer
from graftlm.running.merge import merge
from graftlm.running.train import carry_out
from graftlm.testing.in_process import start_in_process
from graftlm_registry.plugins import registry

PRECISIONS: dict[str, dict[str, Any]] = {
    "fp32": {"dtype": "fp32"},
    "bf16": {"dtype": "bf16"},
    "fp16": {"dtype": "fp16"},
    "nf4": {"dtype": "fp32", "quantization": "nf4"},
    "int8": {"dtype": "fp32", "quantization": "int8"},
    "torchao-int8": {"dtype": "fp32", "quantization": "torchao-int8"},
}
METHODS: dict[str, dict[str, Any]] = {
    "lora": {},
    "dora": {"options": {"method": {"use_dora": True}}},
    "freeze": {"method": "freeze", "options": {"method": {"layers": 1}}},
    "full": {"method": "full"},
}
ROPES: dict[str, dict[str, Any]] = {"default": {}, "linear": {"rope": "linear:2"}, "dynamic": {"rope": "dynamic:2"}}
FACTORS = (tuple(ARCHITECTURES), tuple(PRECISIONS), tuple(METHODS), tuple(ROPES))
MIXTURES = {"mixtral", "qwen2_moe", "qwen3_moe", "qwen3_next", "glm4_moe"}


class Cell(NamedTuple):
    architecture: str
    precision: str
    method: str
    rope: str

    @property
    def quantized(self) -> bool:
        return "quantization" in PRECISIONS[self.precision]

    @property
    def refused(self) -> str:
        """A word of the reason, where a plan must refuse the cell."""
        if self.rope != "default" and self.architecture == "falcon-rw":
            return "alibi"
        if self.quantized and self.method in ("freeze", "full"):
            return "lora"
        if self.quantized and self.architecture in MIXTURES:
            return "experts"
        if self.precision == "int8" and self.method == "dora":
            return "loses"
        return ""


def pairwise() -> Iterator[Cell]:
    """Cells in which every two values of two factors that can go together stand in one, found greedily."""
    cells = [cell for cell in itertools.starmap(Cell, itertools.product(*FACTORS)) if not cell.refused]
    random.Random(0).shuffle(cells)
    missing = {pair for cell in cells for pair in itertools.combinations(cell, 2)}
    while missing:
        best = max(cells, key=lambda cell: len(missing & set(itertools.combinations(cell, 2))))
        missing -= set(itertools.combinations(best, 2))
        yield best


ALL = list(pairwise())
CORE = 14
"""Cells of the quick tests: the first of the greedy ones hold the most pairs."""


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("models")
    return {name: small_model(name, folder) for name in ARCHITECTURES}


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("rows") / "rows.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in alpaca_rows(24)), encoding="utf-8")
    return path


def config(cell: Cell, models: dict[str, Path], rows: Path) -> RunConfig:
    settings = {**PRECISIONS[cell.precision], **METHODS[cell.method], **ROPES[cell.rope]}
    return RunConfig(
        data=str(rows), model=str(models[cell.architecture]), device="cpu", max_steps=6, batch_size=8, micro_batch=4,
        learning_rate=5e-3, retention=False, name="cell", seed=1, **settings,
    )  # fmt: skip


@pytest.mark.usefixtures("home")
@pytest.mark.parametrize(
    "cell", [pytest.param(c, marks=[pytest.mark.slow] * (i >= CORE), id="-".join(c)) for i, c in enumerate(ALL)]
)
def test_a_cell_runs_from_rows_to_a_merged_model(
    cell: Cell, models: dict[str, Path], rows: Path, tmp_path: Path
) -> None:
    plan = resolve(config(cell, models, rows), registry())
    assert plan.problems == ()
    outcome = carry_out(plan, registry(), lambda event: None, start=start_in_process).outcome
    effective = outcome.effective
    assert effective.dtype == PRECISIONS[cell.precision]["dtype"]
    assert effective.quantized_layers == (effective.linear_layers if cell.quantized else 0)
    if cell.method in ("lora", "dora"):
        targets = set(plan.method.target_modules)
        assert targets == set(effective.adapted_modules)
    assert effective.adapted_layers == sum(effective.adapted_modules.values()) > 0
    kind = effective.rope.get("rope_type", "default")
    assert kind == cell.rope
    assert outcome.losses[-1] < outcome.losses[0]
    assert outcome.proof.base_before == outcome.proof.base_after
    assert plan.memory is not None

    said = answer("cell", ["Name the colour."], registry(), lambda event: None, 4, start=start_in_process)
    assert len(said) == 1

    merged = merge("cell", tmp_path / "merged", registry(), lambda event: None, dtype="fp32", start=start_in_process)
    assert merged.effect > 0
    assert merged.difference < 0.05 * merged.effect
    assert merged.held_out
    written = configuration(tmp_path / "merged")
    parameters = written.get("rope_parameters") or {}
    assert parameters.get("rope_type", "default") == cell.rope
    assert "quantization_config" not in written


@pytest.mark.usefixtures("home")
def test_what_cannot_be_is_refused_by_the_plan(models: dict[str, Path], rows: Path) -> None:
    """Whole: every cell that the matrix leaves out, with its reason."""
    seen = 0
    for cell in itertools.starmap(Cell, itertools.product(*FACTORS)):
        if not cell.refused or cell.rope == "dynamic":
            continue
        try:
            problems = " ".join(resolve(config(cell, models, rows), registry()).problems)
        except UsageError as error:
            problems = str(error)
        assert cell.refused in problems, (cell, problems)
        seen += 1
    assert seen > 100
