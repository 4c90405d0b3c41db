"""What the family suite asks of attention: an architecture without sdpa is judged too, and two kinds must agree."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import pytest

from graftlm.contracts.model import FamilyFacts
from graftlm.testing.judging import judge
from graftlm.testing.tiny_models import build
from graftlm_plugins.conformance import families

GEMMA2 = {
    "model_type": "gemma2", "vocab_size": 32, "hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1,
    "num_attention_heads": 2, "num_key_value_heads": 1, "head_dim": 8, "pad_token_id": 0,
}  # fmt: skip


def test_what_has_no_sdpa_is_built_as_transformers_would() -> None:
    assert build(GEMMA2).config._attn_implementation == "eager"
    assert build({**GEMMA2, "model_type": "llama"}).config._attn_implementation == "sdpa"
    with pytest.raises(ValueError, match="does not support an attention implementation"):
        build(GEMMA2, "sdpa")


def test_a_kind_of_attention_that_computes_something_else_is_caught() -> None:
    """transformers' eager attention adds Falcon's alibi twice."""

    class Unlike(families.Falcon):
        def cases(self) -> Iterator[tuple[str, Mapping[str, Any], FamilyFacts]]:
            for name, config, facts in super().cases():
                if name == "falcon/rw":
                    yield name, config, replace(facts, attention_implementations=("eager", "sdpa"))

    (verdict,) = judge(Unlike, ["test_its_attention_implementations_compute_the_same"])
    assert verdict.state == "failed"
    assert "falcon/rw: its logits under eager and sdpa attention differ by" in verdict.reason


def test_packing_is_asked_of_the_attention_that_is_there() -> None:
    """Where sdpa is no choice, nobody says that packing under it is denied."""

    class Eager(families.Llama):
        def cases(self) -> Iterator[tuple[str, Mapping[str, Any], FamilyFacts]]:
            for name, config, facts in super().cases():
                yield name, config, replace(facts, attention_implementations=("eager",), packing=("eager",))

    (verdict,) = judge(Eager, ["test_packing_is_not_denied_where_it_is_exact"])
    assert verdict.state == "passed", verdict.reason
