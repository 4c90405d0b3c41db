"""The catalogue: published configurations, held against what transformers makes of them."""

from __future__ import annotations

import math
from functools import cache

import pytest
import torch
from transformers import AutoConfig, AutoModelForCausalLM

from graftlm.contracts.errors import ModelError
from graftlm.contracts.model import ModelShape
from graftlm.contracts.specs import ModelFamily
from graftlm_registry.models import catalogue
from graftlm_registry.plugins import registry

SHAPES = [name for name in catalogue().names() if catalogue().entry(name).folder is None]
BUILT_IN = [name for name in catalogue().names() if catalogue().entry(name).folder is not None]
ACTIVE = {
    "qwen1.5-moe-a2.7b": 2.7, "qwen3-30b-a3b": 3.3, "qwen3-next-80b-a3b": 3, "mixtral-8x7b": 12.9, "mixtral-8x22b": 39,
    "glm-4.5-air": 12,
}  # fmt: skip
"""Billions of parameters that a token meets, as published."""


@cache
def counted(name: str) -> int:
    """Parameters of the architecture, on the meta device, tied ones once."""
    config = dict(catalogue().entry(name).config)
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(AutoConfig.for_model(config.pop("model_type"), **config))
    return sum(parameter.numel() for parameter in model.parameters())


def shape_of(name: str) -> ModelShape | None:
    config = catalogue().entry(name).config
    (family,) = (f for f in registry().all(ModelFamily) if config["model_type"] in f.model_types)
    return family.facts(config).shape


@pytest.mark.parametrize("name", SHAPES)
def test_transformers_builds_the_published_number_of_parameters(name: str) -> None:
    """To the last digit that is published, some owners rounding, some cutting off. The hub's figures for Falcon have
    the head apart, which transformers ties to the embeddings.
    """
    config, published = catalogue().entry(name).config, catalogue().published(name)
    counts = [counted(name)]
    if config["model_type"] == "falcon":
        counts.append(counts[0] + config["vocab_size"] * config["hidden_size"])
    unit = 10 ** -len(published.partition(".")[2])
    possible = {round(way(count / 1e9 / unit)) for count in counts for way in (round, math.floor)}
    assert round(float(published) / unit) in possible, counts


@pytest.mark.parametrize("name", catalogue().names())
def test_the_family_counts_the_same_parameters_without_torch(name: str) -> None:
    shape = shape_of(name)
    assert shape is not None
    assert shape.parameters == counted(name)


@pytest.mark.parametrize("name", ACTIVE)
def test_a_token_meets_the_published_number_of_parameters(name: str) -> None:
    """Whether embeddings count as met is each owner's choice."""
    shape = shape_of(name)
    assert shape is not None
    rounding = 0.5 if isinstance(ACTIVE[name], int) else 0.05
    assert (shape.active - 2 * shape.embedding) / 1e9 <= ACTIVE[name] + rounding
    assert shape.active / 1e9 >= ACTIVE[name] - rounding


@pytest.mark.parametrize("name", SHAPES)
def test_a_shape_says_where_it_is_from_and_brings_a_tokenizer(name: str) -> None:
    entry = catalogue().entry(name)
    owner, _, model = entry.hub.partition("/")
    assert owner
    assert model
    assert entry.licence
    assert entry.summary
    assert (entry.tokenizer / "tokenizer.json").is_file()
    assert entry.config["torch_dtype"] == "bfloat16"


def test_names_are_those_of_both_and_unique() -> None:
    names = catalogue().names()
    assert len(set(names)) == len(names) >= 40
    assert set(BUILT_IN) == {"small-qwen", "tiny-falcon", "tiny-glm", "tiny-mistral", "tiny-qwen"}


def test_cards_and_published_figures_are_of_different_models() -> None:
    with pytest.raises(ModelError, match="has no card here"):
        catalogue().card("qwen2.5-0.5b")
    with pytest.raises(ModelError, match="comes with graftlm"):
        catalogue().published("tiny-qwen")
    with pytest.raises(ModelError, match="Did you mean 'falcon-40b'"):
        catalogue().entry("falcon-4b0")
