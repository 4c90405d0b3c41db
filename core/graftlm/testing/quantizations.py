"""What is asked of a quantization: it takes every layer, says how many, can be trained through, and changes no more."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from graftlm.contracts.load import LoadPlan
from graftlm.contracts.services import LoadContext, Quantizer
from graftlm.contracts.specs import Quantization
from graftlm_registry.plugins import registry

from .numbers import near
from .quantized_weights import effective_weight, linear_weights, relative_error, stored_bytes
from .situations import facts, situation
from .suite import Suite

if TYPE_CHECKING:
    import torch

DTYPES = {"fp32": "float32", "bf16": "bfloat16", "fp16": "float16"}
WIDE = {
    "model_type": "llama", "vocab_size": 16, "hidden_size": 4096, "intermediate_size": 256, "num_hidden_layers": 1,
    "num_attention_heads": 1, "num_key_value_heads": 1, "head_dim": 64, "pad_token_id": 0,
}  # fmt: skip
"""A model whose ``gate_proj`` has rows as long as a real one's."""


class QuantizationSuite(Suite):
    """Subclass, name the quantization, and give a small configuration of each architecture that it must take."""

    kind = "quantization"
    needs = ("configs", "error")
    quantization: ClassVar[str]
    configs: ClassVar[Mapping[str, Mapping[str, Any]]]
    """``config.json`` by name, small enough to be built in a moment."""
    error: ClassVar[float]
    """Root mean square of what is lost of normally distributed weights, at most, as a share of that of the weights."""
    gradient: ClassVar[float] = 1e-4
    """Largest relative error of an adapter's gradient in fp32, against plain layers with the weights that it multiplies
    by: more where activations are rounded."""
    dtypes: ClassVar[tuple[str, ...]] = ("fp32", "bf16", "fp16")
    device: ClassVar[str] = "cpu"
    scales: ClassVar[tuple[str, ...]] = ("SCB",)
    """What is stored beside a layer's ``weight``, by the names in the model's state."""
    untargeted: ClassVar[frozenset[str]] = frozenset({"out_proj"})
    """Linear layers that no adapter can take: PEFT refuses a state space's own."""

    @property
    def spec(self) -> Quantization:
        return registry().get(Quantization, self.quantization)

    @property
    def quantizer(self) -> Quantizer:
        from graftlm.worker.targets import resolve_target

        made: Quantizer = resolve_target(self.spec.target)()
        return made

    def original(self, config: Mapping[str, Any]) -> Any:
        """Random weights in fp32, the same at every call; biases and norms too are not what they are born as."""
        import torch
        from transformers import AutoConfig, AutoModelForCausalLM

        torch.manual_seed(0)
        known = {k: v for k, v in config.items() if k != "model_type"}
        model = AutoModelForCausalLM.from_config(AutoConfig.for_model(config["model_type"], **known))
        with torch.no_grad():
            for parameter in model.parameters():
                if parameter.dim() == 1:
                    parameter.add_(torch.randn_like(parameter), alpha=0.05)
        return model.eval()

    def write(self, model: Any, name: str = "base") -> Path:
        folder = self.folder / name
        model.save_pretrained(folder)
        return folder

    def load(self, folder: Path, dtype: str = "fp32", plain: bool = True, **options: Any) -> Any:
        """The quantized base of these files. ``plain``: subclasses of ``nn.Linear`` are replaced, as the worker does
        where ``exact_linear`` asks for it.
        """
        import torch
        from transformers import AutoConfig, AutoModelForCausalLM

        from graftlm.worker.plain_linear import plain_linear

        self.needs_it_to_run()
        known = {option.name: option.default for option in self.spec.options}
        plan = LoadPlan(
            name="x", dtype=dtype, attention="sdpa", quantization=self.quantization, options={**known, **options}
        )
        context = LoadContext(load=plan, folder=folder, device=self.device)
        with torch.device("meta"):
            bare = AutoModelForCausalLM.from_config(AutoConfig.from_pretrained(folder))
        classes = {type(m) for m in bare.modules() if isinstance(m, torch.nn.Linear)} - {torch.nn.Linear}
        names = [f"{c.__module__}:{c.__qualname__}" for c in classes] if plain and self.spec.exact_linear else []
        quantizer = self.quantizer
        with plain_linear(names):
            model = AutoModelForCausalLM.from_pretrained(
                folder, dtype=getattr(torch, DTYPES[dtype]), **quantizer.load_arguments(context)
            )
        return quantizer.prepare(model, context).eval()

    def with_lora(self, model: Any, layers: Iterable[str] = (), **settings: Any) -> Any:
        """On every quantized layer that an adapter can take, or on ``layers``."""
        import torch
        from peft import LoraConfig, get_peft_model

        torch.manual_seed(1)
        targets = {path.rpartition(".")[2] for path in layers or self.quantizer.quantized(model)} - self.untargeted
        return get_peft_model(model, LoraConfig(task_type="CAUSAL_LM", r=4, target_modules=sorted(targets), **settings))

    def ids(self) -> torch.Tensor:
        import torch

        return torch.arange(3, 35, device=self.device).repeat(2, 1)

    def gradients(self, model: Any) -> dict[str, torch.Tensor]:
        """Of a pass in training, by parameter."""
        model.train().zero_grad()
        model(input_ids=self.ids(), labels=self.ids(), use_cache=False).loss.backward()
        return {n: p.grad.clone() for n, p in model.named_parameters() if p.grad is not None}

    def logits(self, model: Any) -> torch.Tensor:
        import torch

        with torch.no_grad():
            logits: torch.Tensor = model.eval()(input_ids=self.ids(), use_cache=False).logits
        return logits

    def test_every_linear_layer_but_the_head_is_quantized_and_counted(self) -> None:
        for name, config in self.configs.items():
            model = self.original(config)
            folder, weights = self.write(model, name.replace("/", "-")), linear_weights(model)
            for dtype in self.dtypes:
                found = self.quantizer.quantized(self.load(folder, dtype))
                wanted = {path: weight.numel() for path, weight in weights.items()}
                who = f"{name} in {dtype}"
                assert found.keys() >= wanted.keys(), (
                    f"{who}: not quantized: {sorted(wanted.keys() - found.keys())[:3]}"
                )
                assert found.keys() <= wanted.keys(), (
                    f"{who}: counted without cause: {sorted(found.keys() - wanted.keys())[:3]}"
                )
                odd = sorted(path for path in wanted if found[path] != wanted[path])
                assert not odd, f"{who}: {odd[0]} has {wanted[odd[0]]} weights, and {found[odd[0]]} are counted"

    def test_nothing_is_counted_in_a_base_that_is_not_quantized(self) -> None:
        found = self.quantizer.quantized(self.original(next(iter(self.configs.values()))))
        assert found == {}, f"in a base that is not quantized it counts {sorted(found)[:3]}"

    def test_all_else_is_in_the_precision_that_was_asked_and_frozen(self) -> None:
        import torch

        for name, config in self.configs.items():
            model = self.original(config)
            folder, known = self.write(model, name.replace("/", "-")), dict(model.named_parameters())
            for dtype in self.dtypes:
                asked, loaded = getattr(torch, DTYPES[dtype]), self.load(folder, dtype)
                stored = {f"{path}.weight" for path in self.quantizer.quantized(loaded)}
                for path, parameter in loaded.named_parameters():
                    assert not parameter.requires_grad, f"{name} in {dtype}: {path} is not frozen"
                    if path not in stored:
                        found = str(parameter.dtype).removeprefix("torch.")
                        assert parameter.dtype == asked, f"{name} in {dtype}: {path} is in {found}"
                        same = torch.equal(parameter.cpu(), known[path].detach().to(asked))
                        assert same, f"{name} in {dtype}: {path} is not quantized, and changed"

    def test_a_weight_takes_the_bits_that_are_said(self) -> None:
        model = self.load(self.write(self.original(WIDE)))
        name = "model.layers.0.mlp.gate_proj"
        stored = stored_bytes(model, f"{name}.weight") + sum(stored_bytes(model, f"{name}.{s}") for s in self.scales)
        bits = stored * 8 / self.quantizer.quantized(model)[name]
        assert near(bits, self.spec.bits, abs=0.02), (
            f"a weight takes {bits:.3f} bits, and the spec says {self.spec.bits}"
        )

    def test_what_is_lost_of_the_weights_is_little(self) -> None:
        model = self.original(next(iter(self.configs.values())))
        loaded = self.load(self.write(model))
        error = relative_error(loaded, linear_weights(model))
        assert error > 0, "nothing is lost of the weights: they are not quantized"
        assert error < self.error, f"{error:.4f} of the weights is lost, and {self.error} is allowed"

    def test_an_adapter_learns_on_it(self) -> None:
        """In each precision on the first model, in one on each of the others."""
        import torch

        for index, (name, config) in enumerate(self.configs.items()):
            folder = self.write(self.original(config), name.replace("/", "-"))
            for dtype in self.dtypes if not index else self.dtypes[index % len(self.dtypes) :][:1]:
                model = self.with_lora(self.load(folder, dtype))
                first = {n: g for n, g in self.gradients(model).items() if "lora_B" in n}
                adapted, who = sum(hasattr(m, "lora_B") for m in model.modules()), f"{name} in {dtype}"
                assert len(first) == adapted, f"{who}: of {adapted} adapted layers {len(first)} have gradients"
                dead = [n for n, g in first.items() if not (g.isfinite().all() and g.abs().sum() > 0)]
                assert not dead, f"{who}: the gradient is zero, or no number, of {', '.join(dead[:3])}"
                optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=1e-2)
                losses = []
                for _ in range(5):
                    losses.append(model(input_ids=self.ids(), labels=self.ids(), use_cache=False).loss)
                    optimizer.zero_grad()
                    losses[-1].backward()
                    optimizer.step()
                fell = float(losses[0] - losses[-1])
                assert fell > 0.1, f"{who}: five steps lower the loss by {fell:.3f} only"

    def test_gradients_are_those_of_the_weights_that_it_multiplies_by(self) -> None:
        """In fp32, against an adapter on a plain base with these weights."""
        import torch

        for name, config in self.configs.items():
            plain = self.original(config)
            loaded, weights = self.load(self.write(plain, name.replace("/", "-"))), linear_weights(plain)
            with torch.no_grad():
                for path, weight in weights.items():
                    weight.copy_(effective_weight(loaded.train(), path, weight.shape[1]))
            wanted = self.gradients(self.with_lora(plain, weights, init_lora_weights=False))
            found = self.gradients(self.with_lora(loaded, init_lora_weights=False))
            errors = {n: float((found[n].cpu() - g).norm() / g.norm()) for n, g in wanted.items() if n in found}
            assert errors, f"{name}: an adapter on it has no gradients"
            worst = max(errors, key=lambda n: errors[n])
            assert errors[worst] <= self.gradient, (
                f"{name}: an adapter's gradients are not those of the weights that it multiplies by: {worst} has a "
                f"relative error of {errors[worst]:.2g}, and {self.gradient:.2g} is allowed"
            )

    def test_passes_change_neither_the_base_nor_the_gradients_after_them(self) -> None:
        """A base that is repacked for inference when it is first evaluated trains no more."""
        import torch

        from graftlm.worker.digest import base_digest

        for name, config in self.configs.items():
            base = self.load(self.write(self.original(config), name.replace("/", "-")))
            before = base_digest(base)
            self.logits(base)
            assert base_digest(base) == before, f"{name}: a forward pass changed the base"
            model = self.with_lora(base, init_lora_weights=False)
            fresh = self.with_lora(self.load(self.folder / name.replace("/", "-")), init_lora_weights=False)
            expected, got = self.gradients(fresh), self.gradients(model)
            assert expected.keys() == got.keys(), f"{name}: after a pass other parameters have gradients"
            odd = [key for key in expected if not torch.equal(expected[key], got[key])]
            assert not odd, f"{name}: after a pass the gradient is another one of {', '.join(odd[:3])}"
            assert base_digest(model.unload()) == before, f"{name}: training changed the base"

    def test_the_files_of_an_adapter_give_the_same_logits_on_a_fresh_base(self) -> None:
        import torch
        from peft import PeftModel

        for name, config in self.configs.items():
            folder = self.write(self.original(config), name.replace("/", "-"))
            model = self.with_lora(self.load(folder), init_lora_weights=False)
            model.save_pretrained(folder / "adapter", save_embedding_layers=False)
            again = PeftModel.from_pretrained(self.load(folder), folder / "adapter")
            same = torch.equal(self.logits(again), self.logits(model))
            assert same, f"{name}: an adapter's files give other logits on a fresh base"
            idle = torch.equal(self.logits(again), self.logits(self.load(folder)))
            assert not idle, f"{name}: an adapter changes no logit"

    def test_the_same_files_give_the_same_bytes_and_others_do_not(self) -> None:
        """Twice the weights have the same integers, and other scales."""
        import torch

        from graftlm.worker.digest import base_digest

        model = self.original(next(iter(self.configs.values())))
        folder, one = self.write(model), next(iter(linear_weights(model).values()))
        with torch.no_grad():
            one.mul_(2)
        loaded, other = self.load(folder), self.load(self.write(model, "other"))
        assert base_digest(loaded) == base_digest(self.load(folder)), "loaded twice, the same files give other bytes"
        assert base_digest(loaded) != base_digest(other), "twice the weights have the same bytes: scales are not kept"
        self.logits(loaded), self.logits(other)
        assert base_digest(loaded) != base_digest(other), "after a pass twice the weights have the same bytes"

    def test_it_refuses_what_it_cannot_do(self) -> None:
        """A base that is quantized already, a device that nobody tried, and experts that it would leave as they are."""
        against = self.spec.supports(situation())
        assert not against, f"it refuses LoRA on a CPU: {'; '.join(against)}"
        refused = {
            "gptq": situation(config={"quantization_config": {"quant_method": "gptq"}}),
            "mps": situation(device="mps"),
            "80% of its weights are fused experts": situation(facts=facts(experts=400)),
        }
        for word, asked in refused.items():
            reasons = self.spec.supports(asked)
            assert len(reasons) == 1 and word in reasons[0], f"asked about {word!r}, it says {list(reasons)}"
        wanted = situation(facts=facts(experts=400), quantization_options={"partial": True})
        against = self.spec.supports(wanted)
        assert not against, f"with partial=true it refuses experts all the same: {'; '.join(against)}"
