"""Beside a named accelerator that brings no attention, a plan asks for one that the model has."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from graftlm.api import FamilyFacts
from graftlm.contracts.config import RunConfig
from graftlm.planning import base_model
from graftlm.planning.resolve import resolve
from graftlm_registry.plugins import registry

COLOURS = Path(__file__).parent.parent / "data" / "colours.jsonl"


@pytest.mark.parametrize(
    ("known", "taken"), [(("eager", "sdpa"), "sdpa"), (("eager", "flash_attention_2"), "eager"), ((), "sdpa")]
)
def test_the_default_is_one_that_the_model_has(
    known: tuple[str, ...], taken: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = base_model.family_of

    def without(*arguments: Any) -> Any:
        family = plain(*arguments)

        def facts(config: Mapping[str, Any]) -> FamilyFacts:
            return replace(family.facts(config), attention_implementations=known)

        return replace(family, facts=facts)

    monkeypatch.setattr(base_model, "family_of", without)
    asked = RunConfig(data=str(COLOURS), model="tiny-mistral", accelerator="fused-lora", device="cpu")
    plan = resolve(asked, registry())
    assert plan.load.attention == taken
    assert {part.name for part in plan.parts if part.kind == "accelerator"} == {"fused-lora", taken}
    if known:
        assert plan.problems == ()
