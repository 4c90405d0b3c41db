"""A plan as people read it: what speaks against a part stays readable."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import click
import pytest

from graftlm.chat_templates.comparison import first_difference
from graftlm.cli.plan_table import plan_table
from graftlm.contracts.config import RunConfig
from graftlm.contracts.plan import Plan
from graftlm.planning.resolve import resolve
from graftlm_registry.plugins import registry


@pytest.fixture
def plan(home: Path, alpaca: Path) -> Plan:
    return resolve(RunConfig(data=str(alpaca), model="tiny-falcon", max_steps=2, retention=False), registry())


def test_a_picture_is_printed_as_it_is(plan: Plan, monkeypatch: pytest.MonkeyPatch) -> None:
    """Problems of one line stand in the table; a caret stays below what it points at, however narrow the terminal."""
    monkeypatch.setenv("COLUMNS", "110")
    picture = "renders otherwise: " + first_difference("x" * 40 + "a" * 40, "x" * 40 + "b" * 40) + "\nTake another"
    parts = tuple(
        replace(part, problems=("has no <e>", picture)) if part.kind == "template" else part for part in plan.parts
    )
    said = click.unstyle(plan_table(replace(plan, parts=parts)))
    lines = said.splitlines()
    assert "has no <e>; see below" in next(line for line in lines if line.startswith("template "))
    assert f"\n\ntemplate falcon-instruct: {picture}" in said
    caret = next(line for line in lines if line.strip() == "^")
    ours = next(line for line in lines if line.startswith("  ours"))
    assert ours[caret.index("^")] == "a"
    assert "see below" not in plan_table(plan)
