"""What the hook of optimizers returns."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from .spec import Spec
from .specs import anywhere

if TYPE_CHECKING:
    from .situation import Situation


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class Optimizer(Spec):
    """How a gradient changes what is trained.

    ``target`` resolves to a callable ``(groups, *, learning_rate, weight_decay, options)`` that gives a
    ``torch.optim.Optimizer``: ``groups`` are parameter groups as torch has them, each with its ``lr``;
    ``learning_rate`` is the peak, ``options`` are the plugin's own. The rate of each step is set by whoever trains.
    ``state_bytes`` is what it keeps of a trained parameter, in bytes, for the plan's estimate of memory.
    ``supports(situation)`` gives reasons against, none where it works.
    """

    kind: ClassVar[str] = "optimizer"
    target: str
    state_bytes: float = 8.0
    supports: Callable[[Situation], Sequence[str]] = anywhere
