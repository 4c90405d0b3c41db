"""What a plugin is handed in the worker, and what its target must be. Nothing here imports torch."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from .plan import Evaluation, MethodPlan, Plan

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """Samples of one forward pass, right-padded, on the CPU.

    ``ids``, ``labels`` and ``mask`` are ``int64[samples, longest]``; a label of -100 is not trained; the mask is 1 on
    real tokens (padding is known by length, never by id). ``tokens`` counts real tokens, ``trained`` the labels that
    a causal model predicts (the first token of a row never is).
    """

    ids: torch.Tensor
    labels: torch.Tensor
    mask: torch.Tensor
    tokens: int
    trained: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One optimizer step: its micro-batches, and their trained tokens together, by which the loss is divided."""

    index: int
    batches: tuple[Batch, ...]
    trained: int


class Steps(Protocol):
    """Optimizer steps, put together when they are asked for."""

    def __len__(self) -> int: ...

    def __iter__(self) -> Iterator[Step]: ...

    def __getitem__(self, index: int, /) -> Step: ...

    def tokens(self, index: int, /) -> int:
        """Real tokens of a step, without putting it together."""


@dataclass(slots=True, kw_only=True)
class LoadedModel:
    """A base with its adapter attached. ``model`` is a PEFT model where the method keeps an adapter."""

    model: Any
    linear_layers: int
    quantized_layers: int
    adapted: Mapping[str, int]
    attention: str


class TrainingContext(Protocol):
    """What a backend is handed."""

    plan: Plan
    device: str
    folder: Path
    """The base's files."""
    encoded: Path
    """The encoded data: ``train.safetensors`` with ids, labels, offsets; ``order.json`` with samples by step."""
    scratch: Path
    """A folder for the backend's own files."""

    def load(self) -> LoadedModel:
        """Load the base and attach the method, as the plan says, the accelerators' patches in force."""

    def steps(self) -> Steps:
        """The optimizer steps in the plan's order."""

    def micro_batches(self) -> Sequence[Batch]:
        """The same data, one forward pass at a time."""

    def learning_rate(self, step: int) -> float:
        """The learning rate of an optimizer step (from 0)."""

    def start(self) -> None:
        """Call when the loop begins, after imports and preparation: the clock of tokens a second starts anew."""

    def stepped(self, *, step: int, loss: float, tokens: int, gradient_norm: float, model: Any) -> None:
        """Report a finished optimizer step (from 0). Validates when it is due. Raises where the run must stop:
        a loss that is not finite, an interrupt, a supervisor that is gone."""

    def checkpoint(self) -> None:
        """Call between micro-batches: raises where the run must stop."""


class Trainer(Protocol):
    """The target of a ``Backend`` resolves to a class like this one, made without arguments."""

    loss: str
    """How the loss is computed, for the Outcome."""

    def load(self, context: TrainingContext) -> LoadedModel:
        """Most return ``context.load()``."""

    def train(self, context: TrainingContext, loaded: LoadedModel) -> None:
        """Train in place, reporting each optimizer step."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadContext:
    """What a quantizer is handed; ``folder`` holds the base's files."""

    plan: Plan
    folder: Path
    device: str
    options: Mapping[str, Any]


class Quantizer(Protocol):
    """The target of a ``Quantization``, made without arguments."""

    def load_arguments(self, context: LoadContext) -> dict[str, Any]:
        """Arguments to add to ``from_pretrained``."""

    def prepare(self, model: PreTrainedModel, context: LoadContext) -> PreTrainedModel:
        """After the load, before the adapter."""

    def count(self, model: PreTrainedModel) -> int:
        """Linear layers that are really quantized."""


class Tuner(Protocol):
    """The target of a ``TuningMethod``, made without arguments."""

    def attach(self, model: PreTrainedModel, method: MethodPlan) -> Any:
        """Prepare the model for training and return it. Initial weights come from torch's seeded generator."""

    def adapted(self, model: Any) -> dict[str, int]:
        """Adapted modules by the last part of their name, with how many of each."""

    def untuned(self, model: Any) -> AbstractContextManager[Any]:
        """The model as it was before tuning, while the context lasts."""

    def save(self, model: Any, folder: Path) -> None:
        """Write what was trained, as safetensors and JSON only."""

    def reload(self, model: Any, folder: Path) -> AbstractContextManager[Any]:
        """The model with what was written instead of what is in memory, while the context lasts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PatchContext:
    """What an accelerator's patch is handed. ``model`` is None before the ``model`` stage."""

    plan: Plan
    device: str
    model: Any
    options: Mapping[str, Any]


class EvaluationContext(Protocol):
    """What an evaluator is handed."""

    evaluation: Evaluation
    options: Mapping[str, Any]

    @property
    def longest_reference(self) -> int:
        """Tokens that the longest right answer takes, its end token included."""

    def questions(self) -> Sequence[str]:
        """The rendered prompts, in the order of the rows."""

    def references(self) -> Sequence[str]:
        """The right answers, in the order of the rows."""

    def generate(self, max_new_tokens: int) -> list[str]:
        """Greedy answers, in the order of the rows; ``max_new_tokens`` a piece."""

    def answer_losses(self) -> list[tuple[float, int]]:
        """For each row the summed loss of its answer in nats, and its number of trained tokens."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluationResult:
    """``values`` by metric name; ``samples`` one dict a row, to trace a figure by."""

    values: Mapping[str, float]
    samples: tuple[Mapping[str, Any], ...]
