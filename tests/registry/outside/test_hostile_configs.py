"""Hostile configurations are refused in a sentence, and nothing that they name is imported."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from good_adapter import CONFIG, GOOD, Case, write
from hostile_corpus import CONFIGS, lay_trap, refused
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from graftlm.contracts.errors import GraftlmError
from graftlm_registry.adapters.outside.adapter_config import check_config, known
from graftlm_registry.adapters.outside.taking_in import TakenIn, take_in

MAPPING = {"base_model_class": "MistralForCausalLM", "parent_library": "transformers.models.mistral.modeling_mistral"}
"""What PEFT writes where no task was named."""
MANY = settings(deadline=None, max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.mark.parametrize("case", CONFIGS, ids=lambda case: case.name)
def test_a_hostile_configuration_is_refused(case: Case, tmp_path: Path) -> None:
    canary = lay_trap(tmp_path)
    refused(case, tmp_path / "case")
    assert not canary.exists()


def taken(tmp_path: Path, **changes: Any) -> TakenIn:
    (tmp_path / "staged").mkdir()
    return take_in(write(tmp_path, config=dict(GOOD) | changes), tmp_path / "staged")


@pytest.mark.parametrize(
    ("changes", "kept", "note"),
    [
        ({"megatron_core": "megatron.core", "eva_config": None, "loftq_config": {}}, {}, ""),
        ({"a_new_key": None, "another": False}, {}, "a_new_key, another"),
        ({"auto_mapping": MAPPING}, {}, ""),
        ({"auto_mapping": {**MAPPING, "unsloth_fixed": True}, "lora_B_layout": "rank_major"}, {}, ""),
        ({"init_lora_weights": "eva", "eva_config": {"rho": 2.0}}, {"init_lora_weights": True}, "eva_config"),
        (
            {"base_model_name_or_path": "/home/me/models/x"},
            {"base_model_name_or_path": None},
            "means nothing elsewhere",
        ),
        ({"base_model_name_or_path": "mistralai/Mistral-7B-v0.3"}, {}, ""),
        (
            {"target_modules": ".*_proj"},
            {"target_modules": [f"model.layers.0.self_attn.{n}_proj" for n in "qv"]},
            "2 modules",
        ),
        ({"rank_pattern": {"[qx]_proj": 4, ".*": 2}}, {"rank_pattern": {"q_proj": 4, "v_proj": 2}}, "rank_pattern"),
        ({"rank_pattern": {"v_proj": 2}}, {"rank_pattern": {"v_proj": 2}}, ""),
        ({"alpha_pattern": {r"model\.layers\.0\.self_attn\.v_proj": 2.5}}, {}, ""),
        ({"lora_dropout": 0, "lora_alpha": 16.5, "revision": "refs/pr/1", "peft_version": "0.18.1.dev0@ab12"}, {}, ""),
    ],
)
def test_what_real_tools_write_is_taken(changes: Any, kept: Any, note: str, tmp_path: Path) -> None:
    found = taken(tmp_path, **changes)
    written = json.loads((tmp_path / "staged" / CONFIG).read_text())
    assert written == dict(found.config)
    assert written.keys() <= known()["kinds"]["LORA"]["keys"].keys()
    assert "auto_mapping" not in written
    assert {key: written[key] for key in kept} == kept
    assert note in " ".join(found.notes)
    assert bool(note) == bool(found.notes)
    assert found.base == (dict(GOOD) | changes)["base_model_name_or_path"]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=6) | st.integers(-(10**30), 10**30),
    lambda part: st.lists(part, max_size=3) | st.dictionaries(st.text(max_size=4), part, max_size=3),
    max_leaves=4,
)


@MANY
@given(
    kind=st.sampled_from(sorted(known()["kinds"])),
    key=st.sampled_from(sorted({key for kind in known()["kinds"].values() for key in kind["keys"]} - {"peft_type"}))
    | st.text(max_size=8),
    value=JSON,
)
def test_any_value_is_refused_or_has_the_type_of_its_key(kind: str, key: str, value: Any) -> None:
    try:
        config, _ = check_config({"peft_type": kind, key: value})
    except GraftlmError as error:
        assert str(error).isprintable()  # noqa: PT017
        return
    assert config.keys() <= known()["kinds"][kind]["keys"].keys()
    assert config.get(key, value) is value or key in ("inference_mode", "init_lora_weights", "base_model_name_or_path")
    json.dumps(config, allow_nan=False)
