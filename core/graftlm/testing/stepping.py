"""Small parameters that an optimizer moves: what is asked of it stands in ``optimizers``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from graftlm.contracts.optimizing import Optimizer
from graftlm_registry.plugins import registry

from .gaps import skip_unless
from .situations import situation
from .suite import Suite

if TYPE_CHECKING:
    import torch

DTYPES = {"fp32": "float32", "bf16": "bfloat16", "fp16": "float16"}
KINDS = {"none": 0.0, "tiny": 1e-30, "usual": 1e-3, "huge": 1e10}
"""Gradients by their size. A run clips them by their norm, and a user can turn that off."""
SHAPES = ((1024, 8), (8, 1024), (8,))
"""LoRA's two matrices on a layer of 1,024, and a bias."""
SMALL = 64
"""Bytes a parameter's tensor may have beside what it says: the number of the step, a scale."""


class SteppingSuite(Suite):
    """What the checks of an optimizer are made of."""

    kind = "optimizer"
    optimizer: ClassVar[str]
    learning_rate: ClassVar[float] = 3e-3
    options: ClassVar[Mapping[str, Any]] = {}
    """Values of its options that tiny models need."""
    others: ClassVar[Mapping[str, Any]] = {}
    """Another value of an option that must make a difference, where half its default makes none."""
    dtypes: ClassVar[Sequence[str]] = ("fp32",)
    """What its parameters may be: graftlm trains in fp32, whatever the base is in."""

    @property
    def spec(self) -> Optimizer:
        return registry().get(Optimizer, self.optimizer)

    def parameters(self, dtype: str = "fp32", *, at: float = 0.1) -> list[torch.nn.Parameter]:
        """The same ones each time, of the size ``at``."""
        import torch

        generator = torch.Generator().manual_seed(5)
        return [
            torch.nn.Parameter((at * torch.randn(shape, generator=generator)).to(getattr(torch, DTYPES[dtype])))
            for shape in SHAPES
        ]

    def gradients(self, parameters: Sequence[torch.nn.Parameter], step: int, size: float = 1e-3) -> None:
        """Those of this step, the same ones each time."""
        import torch

        generator = torch.Generator().manual_seed(100 + step)
        for parameter in parameters:
            drawn = torch.randn(parameter.shape, generator=generator)
            parameter.grad = (size * drawn).to(parameter.dtype)

    def made(
        self, groups: Any, *, rate: float | None = None, weight_decay: float = 0.0, **options: Any
    ) -> torch.optim.Optimizer:
        """As the worker makes it. A list of parameters is one group of them."""
        from graftlm.worker.targets import resolve_target

        self.needs_it_to_run()
        against = self.spec.supports(situation())
        skip_unless(not against, "; ".join(against))
        rate = self.learning_rate if rate is None else rate
        if not isinstance(groups[0], Mapping):
            groups = [{"params": list(groups), "lr": rate, "scale": 1.0}]
        known = {option.name: option.default for option in self.spec.options}
        made: torch.optim.Optimizer = resolve_target(self.spec.target)(
            groups, learning_rate=rate, weight_decay=weight_decay, options={**known, **self.options, **options}
        )
        return made

    def walked(self, steps: int = 4, *, at: float = 0.1, **given: Any) -> list[torch.Tensor]:
        """Where some steps lead."""
        parameters = self.parameters(at=at)
        self.walk(self.made(parameters, **given), parameters, range(steps))
        return [parameter.detach() for parameter in parameters]

    def walk(self, made: torch.optim.Optimizer, parameters: Sequence[torch.nn.Parameter], steps: range) -> None:
        for step in steps:
            self.gradients(parameters, step)
            made.step()

    def least_squares(self, dtype: str, steps: int = 300) -> list[float]:
        """The losses of a matrix that is found from what it does."""
        import torch

        generator = torch.Generator().manual_seed(7)
        inputs, wanted = torch.randn((64, 8), generator=generator), 0.05 * torch.randn((8, 16), generator=generator)
        parameter = torch.nn.Parameter(torch.zeros(8, 16, dtype=getattr(torch, DTYPES[dtype])))
        made = self.made([parameter])
        losses = []
        for _ in range(steps):
            made.zero_grad()
            loss = (inputs @ (parameter.float() - wanted)).square().mean()
            loss.backward()  # type: ignore[no-untyped-call]
            made.step()
            losses.append(float(loss.detach()))
        return losses
