"""What is asked of a model family: its facts hold on a tiny model of each model type."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar

from graftlm.contracts.model import FamilyFacts, ModelDescription, ModelShape
from graftlm.contracts.specs import ModelFamily
from graftlm_registry.plugins import registry

from .family_checks import check_frequencies, check_shape, difference, key_heads, packing_error, unfaithful
from .suite import Suite
from .tiny_models import CONTEXT, build, linear_layers, lora

EXACT = 1e-4
"""Largest difference of logits that counts as equal, in fp32."""
KINDS = ("linear", "dynamic", "yarn")


class FamilySuite(Suite):
    """Subclass, name the family, and give a small configuration of each of its model types."""

    kind = "family"
    needs = ("configs",)
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
        given = {name.partition("/")[0] for name in self.configs}
        odd = given ^ set(self.spec.model_types)
        assert not odd, (
            f"the suite's configs are of {sorted(given)}, and the family's model types {sorted(self.spec.model_types)}"
        )

    def test_the_template_exists(self) -> None:
        for config in self.configs.values():
            model = ModelDescription(name="x", source="test", folder=Path(), config=config)
            said = self.spec.template(model)
            known = registry().names("template")
            assert said in known, f"it names the template {said!r}, which is none of {', '.join(known)}"

    def test_the_facts_name_all_linear_layers_and_no_other(self) -> None:
        for name, config, facts in self.cases():
            present = {path.rpartition(".")[2] for path in linear_layers(build(config))}
            named = set(facts.attention) | set(facts.mlp) | set(facts.untargeted)
            assert named >= present, f"{name} has linear layers that the facts do not name: {sorted(present - named)}"
            assert named <= present, (
                f"the facts name linear layers that {name} does not have: {sorted(named - present)}"
            )
            both = set(facts.attention + facts.mlp) & set(facts.untargeted)
            assert not both, f"{name}: {sorted(both)} are targets, and untargeted"
            more = set(facts.default_targets) - set(facts.attention + facts.mlp)
            assert not more, f"{name}: the default targets {sorted(more)} are neither attention nor mlp"
            assert set(facts.fused) <= present, f"{name}: the fused {sorted(set(facts.fused) - present)} are not there"
            assert facts.untargeted_reason or not facts.untargeted, f"{name}: nothing says why layers are untargeted"

    def test_the_facts_name_every_module_that_has_weights(self) -> None:
        """By path, the numbers of layers aside; a plan holds the names in a method's options against them."""
        for name, config, facts in self.cases():
            found = set()
            for path, _ in build(config).named_parameters(remove_duplicate=False):
                module, _, tensor = re.sub(r"\.\d+\.", ".*.", path).rpartition(".")
                found.add(module if tensor in ("weight", "bias") else f"{module}:{tensor}")
            odd = set(facts.modules) ^ found if facts.modules else ()
            assert not odd, f"{name}: the facts' modules and the model's differ in {sorted(odd)}"
            assert len(set(facts.modules)) == len(facts.modules), f"{name}: a module is named twice"

    def test_subclasses_of_linear_are_declared(self) -> None:
        """Quantizers that look for nn.Linear itself pass them by."""
        import torch

        for name, config, facts in self.cases():
            classes = {type(m) for m in build(config).modules() if isinstance(m, torch.nn.Linear)} - {torch.nn.Linear}
            found, said = {f"{c.__module__}:{c.__qualname__}" for c in classes}, set(facts.linear_classes)
            assert found == said, f"{name}: its subclasses of nn.Linear are {sorted(found)}, and not {sorted(said)}"

    def test_subclasses_of_linear_compute_what_it_does(self) -> None:
        import torch

        from graftlm.worker.plain_linear import plain_linear

        for name, config, facts in self.cases():
            its_own = build(config)
            with plain_linear(facts.linear_classes):
                plain = build(config)
            plain.load_state_dict(its_own.state_dict())
            classes = {type(m).__name__ for m in linear_layers(plain).values() if type(m) is not torch.nn.Linear}
            assert not classes, f"{name}: {sorted(classes)} stay where nn.Linear should stand for them"
            apart = difference(its_own, plain, 24)
            assert apart < EXACT, f"{name}: with nn.Linear in their place its logits change by {apart:.2g}"

    def test_adapters_reach_every_layer_of_a_role_and_no_other(self) -> None:
        for name, config, facts in self.cases():
            for role in ("attention", "mlp", "default_targets"):
                if targets := getattr(facts, role):
                    missed = unfaithful(config, targets)
                    assert not missed, f"{name}: of {role} {', '.join(targets)}, PEFT {missed}"

    def test_gradients_reach_every_adapter(self) -> None:
        import torch

        for name, config, facts in self.cases():
            model = lora(build(config), (*facts.attention, *facts.mlp), random=True).train()
            ids = torch.arange(3, 27)[None] % model.config.get_text_config().vocab_size
            model(input_ids=ids, labels=ids, use_cache=False).loss.backward()
            trained = {path: p.grad for path, p in model.named_parameters() if p.requires_grad}
            dead = [path for path, gradient in trained.items() if gradient is None or not gradient.abs().max() > 0]
            assert trained, f"{name}: an adapter on it has nothing to train"
            assert not dead, f"{name}: no gradient reaches {', '.join(dead[:3])}"

    def test_an_adapter_comes_back_as_it_was(self) -> None:
        from peft import PeftModel

        for name, config, facts in self.cases():
            model = lora(build(config), (*facts.attention, *facts.mlp), random=True).eval()
            folder = self.folder / name.replace("/", "-")
            model.save_pretrained(folder, save_embedding_layers=False)
            base = build(config)
            effect = difference(model, base, 24)
            assert effect > EXACT, f"{name}: an adapter on it changes its logits by {effect:.2g} only"
            apart = difference(model, PeftModel.from_pretrained(base, folder).eval(), 24)
            assert apart < EXACT, f"{name}: read back, an adapter gives other logits, by {apart:.2g}"

    def test_what_is_untargeted_cannot_be_adapted(self) -> None:
        """PEFT refuses it, or adapts something else; or it has one output, and low rank saves nothing."""
        for name, config, facts in self.cases():
            layers = linear_layers(build(config))
            wide = {path.rpartition(".")[2] for path, layer in layers.items() if layer.out_features > 1}
            refused = [target for target in facts.untargeted if target in wide]
            taken = [target for target in refused if not unfaithful(config, (target,))]
            assert not taken, f"{name}: {', '.join(taken)} can be adapted, and the facts leave them untargeted"
            assert not refused or unfaithful(config, refused), f"{name}: together {', '.join(refused)} can be adapted"

    def test_its_attention_implementations_load(self) -> None:
        for name, config, facts in self.cases():
            for attention in {"eager", "sdpa"} & set(facts.attention_implementations):
                found = build(config, attention).config._attn_implementation
                assert found == attention, f"{name}: asked for {attention} attention, it has {found}"

    def test_its_attention_implementations_compute_the_same(self) -> None:
        """One that leaves out a window, or a cap on the scores, trains another model."""
        for name, config, facts in self.cases():
            if {"eager", "sdpa"} <= set(facts.attention_implementations):
                apart = difference(build(config, "eager"), build(config, "sdpa"), 24)
                assert apart < EXACT, f"{name}: its logits under eager and sdpa attention differ by {apart:.2g}"

    def test_packing_is_exact_where_it_is_claimed(self) -> None:
        for name, config, facts in self.cases():
            for attention in {"eager", "sdpa"} & set(facts.packing):
                error = packing_error(build(config, attention))
                assert error < EXACT, f"{name}: packed under {attention}, its logits are wrong by {error:.2g}"

    def test_packing_is_not_denied_where_it_is_exact(self) -> None:
        for name, config, facts in self.cases():
            for attention in {"eager", "sdpa"} & set(facts.attention_implementations) - set(facts.packing):
                error = packing_error(build(config, attention))
                assert error > EXACT, f"{name}: packing is exact under {attention}, and the facts do not say so"

    def test_the_shape_is_the_model_s(self) -> None:
        for name, config, facts in self.cases():
            if facts.shape is not None:
                model = build(config)
                check_shape(facts.shape, model, name)
                head_dim, heads = key_heads(model)
                known = (facts.shape.head_dim, self.heads_in_cache(config, facts.shape))
                assert known == (head_dim, heads), (
                    f"{name}: while it generates it keeps {heads} heads of {head_dim}, and its shape says {known}"
                )

    def test_rope_scaling_works_as_its_kind_says(self) -> None:
        for name, config, facts in self.cases():
            for kind in facts.rope:
                plain, scaled = build(config, context=CONTEXT), build(config, rope=kind)
                check_frequencies(kind, plain, scaled, name)
                apart = difference(plain, scaled, 3 * CONTEXT)
                assert apart > EXACT, f"{name}: {kind} RoPE scaling changes its logits by {apart:.2g} only"

    def test_rope_scaling_is_not_denied_where_it_works(self) -> None:
        for name, config, facts in self.cases():
            for kind in set(KINDS) - set(facts.rope):
                assert facts.no_rope, f"{name}: nothing says why {kind} RoPE scaling is not there (no_rope)"
                try:
                    scaled = build(config, rope=kind)
                except (TypeError, AttributeError, KeyError):
                    continue
                apart = difference(build(config, context=CONTEXT), scaled, 3 * CONTEXT)
                assert apart < EXACT, f"{name}: {kind} RoPE scaling works, and the facts do not say so"
