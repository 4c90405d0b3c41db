"""What is asked of a model family: its facts hold on a tiny model of each model type."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import pytest

from graftlm.contracts.model import FamilyFacts, LinearShape, ModelDescription, ModelShape
from graftlm.contracts.specs import ModelFamily, PromptTemplate
from graftlm_registry.plugins import registry

from .tiny_models import CONTEXT, build, inverse_frequencies, linear_layers, logits, lora

if TYPE_CHECKING:
    from transformers import PreTrainedModel

EXACT = 1e-4
"""Largest difference of logits that counts as equal, in fp32."""
KINDS = ("linear", "dynamic", "yarn")


class FamilySuite:
    """Subclass, name the family, and give a small configuration of each of its model types."""

    family: ClassVar[str]
    configs: ClassVar[Mapping[str, Mapping[str, Any]]]
    """``config.json`` by model type, small enough to be built in a moment; several layouts as ``type/layout``."""

    @property
    def spec(self) -> ModelFamily:
        return registry().get(ModelFamily, self.family)

    def cases(self) -> Iterator[tuple[str, Mapping[str, Any], FamilyFacts]]:
        """What transformers itself can build: name, configuration, facts."""
        for name, config in self.configs.items():
            facts = self.spec.facts(config)
            if not facts.remote_code:
                yield name, config, facts

    def heads_in_cache(self, config: Mapping[str, Any], shape: ModelShape) -> int:
        """Key heads that the model keeps while it generates."""
        return shape.kv_heads

    def test_every_model_type_has_a_configuration(self) -> None:
        assert {name.partition("/")[0] for name in self.configs} == set(self.spec.model_types)

    def test_the_template_exists(self) -> None:
        for config in self.configs.values():
            model = ModelDescription(name="x", source="test", folder=Path(), config=config)
            assert registry().get(PromptTemplate, self.spec.template(model))

    def test_the_facts_name_all_linear_layers_and_no_other(self) -> None:
        for name, config, facts in self.cases():
            present = {path.rpartition(".")[2] for path in linear_layers(build(config))}
            assert set(facts.attention) | set(facts.mlp) | set(facts.untargeted) == present, name
            assert not set(facts.attention + facts.mlp) & set(facts.untargeted), name
            assert set(facts.default_targets) <= set(facts.attention + facts.mlp), name
            assert set(facts.fused) <= present, name
            assert facts.untargeted_reason or not facts.untargeted, name

    def test_the_facts_name_every_module_that_has_weights(self) -> None:
        """By path, the numbers of layers aside; a plan holds the names in a method's options against them."""
        for name, config, facts in self.cases():
            found = set()
            for path, _ in build(config).named_parameters(remove_duplicate=False):
                module, _, tensor = re.sub(r"\.\d+\.", ".*.", path).rpartition(".")
                found.add(module if tensor in ("weight", "bias") else f"{module}:{tensor}")
            assert not facts.modules or set(facts.modules) == found, name
            assert len(set(facts.modules)) == len(facts.modules), name

    def test_subclasses_of_linear_are_declared(self) -> None:
        """Quantizers that look for nn.Linear itself pass them by."""
        import torch

        for name, config, facts in self.cases():
            classes = {type(m) for m in build(config).modules() if isinstance(m, torch.nn.Linear)} - {torch.nn.Linear}
            assert {f"{c.__module__}:{c.__qualname__}" for c in classes} == set(facts.linear_classes), name

    def test_subclasses_of_linear_compute_what_it_does(self, monkeypatch: pytest.MonkeyPatch) -> None:
        import sys

        import torch

        for name, config, facts in self.cases():
            its_own = build(config)
            with monkeypatch.context() as patched:
                for module, _, attribute in (target.partition(":") for target in facts.linear_classes):
                    patched.setattr(sys.modules[module], attribute, torch.nn.Linear)
                plain = build(config)
            plain.load_state_dict(its_own.state_dict())
            assert {type(m) for m in linear_layers(plain).values()} <= {torch.nn.Linear}, name
            assert _difference(its_own, plain, 24) < EXACT, name

    @pytest.mark.parametrize("role", ["attention", "mlp", "default_targets"])
    def test_adapters_reach_every_layer_of_a_role_and_no_other(self, role: str) -> None:
        for name, config, facts in self.cases():
            if targets := getattr(facts, role):
                assert _faithful(config, targets), name

    def test_gradients_reach_every_adapter(self) -> None:
        import torch

        for name, config, facts in self.cases():
            model = lora(build(config), (*facts.attention, *facts.mlp), random=True).train()
            ids = torch.arange(3, 27)[None] % model.config.get_text_config().vocab_size
            model(input_ids=ids, labels=ids, use_cache=False).loss.backward()
            trained = {path: p.grad for path, p in model.named_parameters() if p.requires_grad}
            dead = [path for path, gradient in trained.items() if gradient is None or not gradient.abs().max() > 0]
            assert trained, name
            assert not dead, name

    def test_an_adapter_comes_back_as_it_was(self, tmp_path: Path) -> None:
        from peft import PeftModel

        for name, config, facts in self.cases():
            model = lora(build(config), (*facts.attention, *facts.mlp), random=True).eval()
            folder = tmp_path / name.replace("/", "-")
            model.save_pretrained(folder, save_embedding_layers=False)
            base = build(config)
            assert _difference(model, base, 24) > EXACT, name
            assert _difference(model, PeftModel.from_pretrained(base, folder).eval(), 24) < EXACT, name

    def test_what_is_untargeted_cannot_be_adapted(self) -> None:
        """PEFT refuses it, or adapts something else; or it has one output, and low rank saves nothing."""
        for name, config, facts in self.cases():
            layers = linear_layers(build(config))
            wide = {path.rpartition(".")[2] for path, layer in layers.items() if layer.out_features > 1}
            refused = [target for target in facts.untargeted if target in wide]
            assert not any(_faithful(config, (target,)) for target in refused), name
            assert not refused or not _faithful(config, refused), name

    def test_its_attention_implementations_load(self) -> None:
        for name, config, facts in self.cases():
            for attention in {"eager", "sdpa"} & set(facts.attention_implementations):
                assert build(config, attention).config._attn_implementation == attention, name

    def test_packing_is_exact_where_it_is_claimed(self) -> None:
        for name, config, facts in self.cases():
            for attention in {"eager", "sdpa"} & set(facts.packing):
                assert _packing_error(build(config, attention)) < EXACT, name

    def test_packing_is_not_denied_where_it_is_exact(self) -> None:
        for name, config, facts in self.cases():
            for attention in {"eager", "sdpa"} - set(facts.packing):
                assert _packing_error(build(config, attention)) > EXACT, name

    def test_the_shape_is_the_model_s(self) -> None:
        for name, config, facts in self.cases():
            if facts.shape is not None:
                model = build(config)
                check_shape(facts.shape, model, name)
                head_dim, heads = _key_heads(model)
                assert facts.shape.head_dim == head_dim, name
                assert self.heads_in_cache(config, facts.shape) == heads, name

    @pytest.mark.parametrize("kind", KINDS)
    def test_rope_scaling_works_as_its_kind_says(self, kind: str) -> None:
        for name, config, facts in self.cases():
            if kind in facts.rope:
                plain, scaled = build(config, context=CONTEXT), build(config, rope=kind)
                _check_frequencies(kind, plain, scaled, name)
                assert _difference(plain, scaled, 3 * CONTEXT) > EXACT, name

    @pytest.mark.parametrize("kind", KINDS)
    def test_rope_scaling_is_not_denied_where_it_works(self, kind: str) -> None:
        for name, config, facts in self.cases():
            if kind not in facts.rope:
                assert facts.no_rope, name
                try:
                    scaled = build(config, rope=kind)
                except (TypeError, AttributeError, KeyError):
                    continue
                assert _difference(build(config, context=CONTEXT), scaled, 3 * CONTEXT) < EXACT, name


def check_shape(shape: ModelShape, model: PreTrainedModel, name: str) -> None:
    """All that can be seen of a model whose weights may be nowhere (on torch's meta device)."""
    assert shape.parameters == sum(p.numel() for p in model.parameters()), name
    found = Counter(
        (path.rpartition(".")[2], layer.in_features, layer.out_features, layer.bias is not None)
        for path, layer in linear_layers(model).items()
    )
    assert _counted(shape.linear) == found, name
    text = model.config.get_text_config()
    known = (text.hidden_size, text.num_hidden_layers, text.num_attention_heads, text.vocab_size)
    assert (shape.hidden, shape.layers, shape.heads, shape.vocabulary) == known, name
    assert shape.context == text.max_position_embeddings, name
    embeddings, head = model.get_input_embeddings(), model.get_output_embeddings()
    assert shape.tied == (embeddings.weight is head.weight), name
    experts = [p for m in model.modules() if type(m).__name__.endswith("Experts") for p in m.parameters(False)]
    assert shape.experts == sum(p.numel() for p in experts), name
    met = sum(p.numel() // len(p) * text.num_experts_per_tok for p in experts)
    assert shape.active_experts == met, name


def _faithful(config: Mapping[str, Any], targets: Sequence[str]) -> bool:
    """Whether PEFT adapts the linear layers of these names, all of them and nothing else."""
    base = build(config)
    wanted = {path for path in linear_layers(base) if path.rpartition(".")[2] in targets}
    try:
        model = lora(base, targets)
    except ValueError:
        return False
    found = {
        path.removeprefix("base_model.model.") for path, module in model.named_modules() if hasattr(module, "lora_A")
    }
    settings = model.peft_config["default"]
    return found == wanted and not settings.target_parameters and not settings.rank_pattern


def _packing_error(model: PreTrainedModel) -> float:
    """Largest difference between the logits of samples packed into one row and those of each alone."""
    import torch

    rows = [torch.arange(3, 3 + n) % model.config.get_text_config().vocab_size for n in (5, 9, 2)]
    with torch.inference_mode():
        alone = torch.cat([logits(model, row[None])[0] for row in rows])
        positions = torch.cat([torch.arange(len(row)) for row in rows])[None]
        packed = logits(model, torch.cat(rows)[None], position_ids=positions)[0]
    return float((alone - packed).abs().max())


def _difference(one: PreTrainedModel, other: PreTrainedModel, tokens: int) -> float:
    """Largest difference of the logits on the same tokens."""
    import torch

    ids = torch.randint(3, one.config.get_text_config().vocab_size, (1, tokens), generator=torch.manual_seed(1))
    with torch.inference_mode():
        return float((logits(one, ids) - logits(other, ids)).abs().max())


def _key_heads(model: PreTrainedModel) -> tuple[int, int]:
    """The size of a head and the number of key heads, as they are kept while the model generates."""
    import torch

    with torch.inference_mode():
        kept = model(input_ids=torch.arange(3, 8)[None], use_cache=True).past_key_values
    keys = next(k for k in (getattr(layer, "keys", None) for layer in kept.layers) if k is not None)
    return keys.shape[3], keys.shape[1]


def _counted(layers: Sequence[LinearShape]) -> Counter[tuple[str, int, int, bool]]:
    total: Counter[tuple[str, int, int, bool]] = Counter()
    for layer in layers:
        total[layer.name, layer.inputs, layer.outputs, layer.bias] += layer.count
    return total


def _check_frequencies(kind: str, plain: PreTrainedModel, scaled: PreTrainedModel, name: str) -> None:
    """``linear`` halves every frequency; ``yarn`` some of them; ``dynamic`` all but the first, on longer texts only."""
    import torch

    before, after = inverse_frequencies(plain), inverse_frequencies(scaled)
    assert before.shape == after.shape, name  # a part of each head stays that part
    if kind == "linear":
        assert torch.allclose(after, before / 2), name
    elif kind == "yarn":
        assert bool((after <= before).all() and (after >= before / 2 * 0.999).all()), name
        assert not torch.allclose(after, before), name
    else:
        assert torch.equal(after, before), name
        with torch.inference_mode():
            logits(scaled, torch.arange(3, 3 + 3 * CONTEXT)[None] % scaled.config.get_text_config().vocab_size)
        longer = inverse_frequencies(scaled)
        assert bool((longer[1:] < before[1:]).all()), name
