"""What is asked of a model family: its facts hold on a tiny model of each model type."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from graftlm.contracts.model import ModelDescription
from graftlm.contracts.specs import ModelFamily, PromptTemplate
from graftlm_registry.plugins import registry

if TYPE_CHECKING:
    import torch

EXACT = 1e-4
"""Largest difference of logits that counts as equal, in fp32."""


class FamilySuite:
    """Subclass, name the family, and give a small configuration of each of its model types."""

    family: ClassVar[str]
    configs: ClassVar[Mapping[str, Mapping[str, Any]]]
    """``config.json`` by model type, small enough to be built in a moment; several layouts as ``type/layout``."""

    @property
    def spec(self) -> ModelFamily:
        return registry().get(ModelFamily, self.family)

    def model(self, config: Mapping[str, Any], attention: str = "sdpa") -> Any:
        """Random weights in fp32."""
        import torch
        from transformers import AutoConfig, AutoModelForCausalLM

        torch.manual_seed(0)
        known = {k: v for k, v in config.items() if k != "model_type"}
        built = AutoConfig.for_model(config["model_type"], **known)
        return AutoModelForCausalLM.from_config(built, attn_implementation=attention).eval()

    def test_every_model_type_has_a_configuration(self) -> None:
        assert {name.partition("/")[0] for name in self.configs} == set(self.spec.model_types)

    def test_the_facts_name_all_linear_layers_and_no_other(self) -> None:
        import torch

        for config in self.configs.values():
            facts, model = self.spec.facts(config), self.model(config)
            head = model.get_output_embeddings()
            linear = {
                n.rpartition(".")[2]
                for n, m in model.named_modules()
                if isinstance(m, torch.nn.Linear) and m is not head
            }
            assert set(facts.attention) | set(facts.mlp) == linear
            assert set(facts.default_targets) <= linear
            assert set(facts.fused) <= linear

    def test_subclasses_of_linear_are_declared(self) -> None:
        """Quantizers that look for nn.Linear itself pass them by."""
        import torch

        for config in self.configs.values():
            classes = {type(m) for m in self.model(config).modules() if isinstance(m, torch.nn.Linear)} - {
                torch.nn.Linear
            }
            assert {f"{c.__module__}:{c.__qualname__}" for c in classes} == set(self.spec.facts(config).linear_classes)

    def test_its_attention_implementations_load(self) -> None:
        for config in self.configs.values():
            for attention in {"eager", "sdpa"} & set(self.spec.facts(config).attention_implementations):
                assert self.model(config, attention).config._attn_implementation == attention

    def test_packing_is_exact_where_it_is_claimed(self) -> None:
        for config in self.configs.values():
            for attention in {"eager", "sdpa"} & set(self.spec.facts(config).packing):
                assert self.packing_error(config, attention) < EXACT

    def test_packing_is_not_denied_where_it_is_exact(self) -> None:
        for config in self.configs.values():
            for attention in {"eager", "sdpa"} - set(self.spec.facts(config).packing):
                assert self.packing_error(config, attention) > EXACT

    def packing_error(self, config: Mapping[str, Any], attention: str) -> float:
        """Largest difference between the logits of samples packed into one row and those of each alone."""
        import torch

        model = self.model(config, attention)
        rows = [torch.arange(3, 3 + n) % int(config["vocab_size"]) for n in (5, 9, 2)]
        with torch.inference_mode():
            alone = torch.cat([_logits(model, row[None])[0] for row in rows])
            positions = torch.cat([torch.arange(len(row)) for row in rows])[None]
            packed = _logits(model, torch.cat(rows)[None], position_ids=positions)[0]
        return float((alone - packed).abs().max())

    def test_the_template_exists(self) -> None:
        from pathlib import Path

        for config in self.configs.values():
            model = ModelDescription(name="x", source="test", folder=Path(), config=config)
            assert registry().get(PromptTemplate, self.spec.template(model))


def _logits(model: Any, ids: torch.Tensor, **positions: Any) -> torch.Tensor:
    logits: torch.Tensor = model(input_ids=ids, use_cache=False, **positions).logits
    return logits
