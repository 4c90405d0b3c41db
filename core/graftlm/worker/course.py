"""What a run has done so far: everything that its next step and its outcome need, tensors aside."""

from __future__ import annotations

from dataclasses import dataclass, field

from graftlm.contracts.outcome import Effective, MemoryUse, Spike


@dataclass(slots=True, kw_only=True)
class Course:
    """``losses`` are one a finished optimizer step; ``seconds`` and ``energy`` are of the training loop, and
    ``total_seconds`` of the run's earlier processes. ``best_step`` has the lowest validation loss, ``best_loss`` (0 and
    None before one), ``waited`` validations went by since, and ``stopped`` is early stopping. ``due`` are gradient norm
    (None: overflown), seconds and tokens of the last step where it was trained, and is not yet validated and told.
    ``effective`` is what was measured when this process had trained its first step.
    """

    losses: list[float] = field(default_factory=list)
    validation: list[tuple[int, float]] = field(default_factory=list)
    tokens: int = 0
    seconds: float = 0.0
    total_seconds: float = 0.0
    energy: float | None = None
    overflows: int = 0
    best_step: int = 0
    best_loss: float | None = None
    waited: int = 0
    stopped: bool = False
    due: tuple[float | None, float, int] | None = None
    spikes: list[Spike] = field(default_factory=list)
    resumed: list[int] = field(default_factory=list)
    effective: Effective | None = None
    memory: MemoryUse | None = None

    @property
    def step(self) -> int:
        """Finished optimizer steps."""
        return len(self.losses)
