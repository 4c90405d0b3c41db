"""Tiny models with a tuning method on them: what is asked of it stands in ``methods`` and ``kept_weights``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from graftlm.contracts.model import FamilyFacts
from graftlm.contracts.plan import MethodPlan
from graftlm.contracts.specs import ModelFamily, TuningMethod
from graftlm_registry.models import catalogue
from graftlm_registry.plugins import registry

from .suite import Suite
from .tiny_models import logits

if TYPE_CHECKING:
    import torch

KNOWN = ("rank", "alpha", "dropout", "target_modules", "loraplus_ratio")
"""Settings that a method may have."""
BUILT_IN = ("tiny-mistral", "tiny-qwen", "tiny-glm", "tiny-falcon")
ROWS = ((5, 6, 7, 8, 9, 10, 11, 12), (30, 31, 32, 33, 34, 35, 36, 37))
CHANGED = 1e-4
"""Difference of logits from which something has an effect."""


class TuningSuite(Suite):
    """What the checks of a method are made of."""

    kind = "method"
    method: ClassVar[str]
    learning_rate: ClassVar[float] = 1e-2
    options: ClassVar[Mapping[str, Any]] = {}
    """Values of its options that tiny models need."""
    models: ClassVar[Sequence[str]] = BUILT_IN
    """Built-in models that it can train; the first one trains most."""
    exact: ClassVar[float] = 1e-5
    """Largest difference of logits that counts as equal, in fp32."""
    merged: ClassVar[float] = 2e-3
    """The same, of what was merged into the weights."""

    @property
    def spec(self) -> TuningMethod:
        return registry().get(TuningMethod, self.method)

    @property
    def who(self) -> str:
        return f"method '{self.method}'"

    @property
    def tuner(self) -> Any:
        from graftlm.worker.targets import resolve_target

        return resolve_target(self.spec.target)()

    def facts(self, model: str) -> FamilyFacts:
        config = catalogue().entry(model).config
        family = next(f for f in registry().all(ModelFamily) if config["model_type"] in f.model_types)
        return family.facts(config)

    def told(self, model: str = "", parent: str = "", **settings: Any) -> MethodPlan:
        """What the method is told; rank 4 on the family's usual targets, but for ``settings``."""
        spec, known = self.spec, {option.name: option.default for option in self.spec.options}
        usual: dict[str, Any] = {
            "rank": 4, "alpha": 8.0, "dropout": 0.0,
            "target_modules": self.facts(model or self.models[0]).default_targets, **settings,
        }  # fmt: skip
        has = {name: value for name, value in usual.items() if name in spec.settings and name in KNOWN[:4]}
        return MethodPlan(
            name=spec.name, keeps=spec.keeps, options={**known, **self.options}, parent=parent,
            **{"target_modules": (), **has},
        )  # fmt: skip

    def base(self, model: str = "", dtype: str = "float32") -> Any:
        """A built-in model with its own weights."""
        import torch
        from transformers import AutoModelForCausalLM

        folder = catalogue().entry(model or self.models[0]).folder
        return AutoModelForCausalLM.from_pretrained(folder, dtype=getattr(torch, dtype)).eval()

    def attached(
        self, model: str = "", *, base: Any = None, seed: int = 1, parent: Path | None = None, **settings: Any
    ) -> Any:
        """The base with the method on it, its initial weights drawn after this seed."""
        import torch

        self.needs_it_to_run()
        base = self.base(model) if base is None else base
        torch.manual_seed(seed)
        return self.tuner.attach(base, self.told(model, "parent@1" if parent else "", **settings), parent)

    def ids(self) -> torch.Tensor:
        import torch

        return torch.tensor(ROWS)

    def logits(self, model: Any) -> torch.Tensor:
        """``float32[rows, tokens, vocabulary]`` of an answering model."""
        import torch

        model.eval()
        with torch.inference_mode():
            return logits(model, self.ids()).float()

    def apart(self, one: torch.Tensor, other: torch.Tensor) -> float:
        return float((one - other).abs().max())

    def train(self, model: Any, steps: int = 3, *, autocast: bool = False) -> list[float]:
        """Some steps of AdamW on two rows; the losses. The gradients of the last step stay."""
        import torch

        model.train()
        mine = [parameter for parameter in model.parameters() if parameter.requires_grad]
        optimizer = torch.optim.AdamW(mine, lr=self.learning_rate, weight_decay=0.0)
        losses = []
        for _ in range(steps):
            optimizer.zero_grad()
            with torch.autocast("cpu", torch.bfloat16) if autocast else nullcontext():
                loss = model(input_ids=self.ids(), labels=self.ids(), use_cache=False).loss
            loss.backward()
            optimizer.step()
            losses.append(float(loss.detach()))
        return losses

    def kept(self, name: str = "kept", model: str = "", *, seed: int = 1, dtype: str = "float32") -> tuple[Path, Any]:
        """What was trained for some steps, saved; its folder, and the logits of what is in memory then."""
        tuned = self.attached(model, base=self.base(model, dtype), seed=seed)
        self.train(tuned, autocast=dtype != "float32")
        folder = self.folder / name
        self.tuner.save(tuned, folder)
        try:
            return folder, self.logits(tuned)
        except Exception as error:
            raise AssertionError(
                f"{self.who} leaves a model in {dtype} that cannot answer after 'save': {error}"
            ) from error
