"""What a plugin is handed in the worker, and what its target must be. Nothing here imports torch."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from .load import LoadPlan
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
    """A base with its adapter attached. ``model`` is a PEFT model where the method keeps an adapter.

    ``quantized_share`` is the share of the base's parameters that is quantized; ``base_digest`` is of the base's
    weights before the method changed anything, ``base_parameters`` counts them and ``dtype`` is their precision; these
    three are empty where the backend loads the model itself.
    """

    model: Any
    linear_layers: int
    quantized_layers: int
    adapted: Mapping[str, int]
    attention: str
    quantized_share: float = 0.0
    base_digest: str = ""
    base_parameters: int = 0
    dtype: str = ""
    rope: Mapping[str, Any] = field(default_factory=dict)


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
    """What a quantizer is handed. ``folder`` holds the base's files; ``load.options`` are the quantizer's."""

    load: LoadPlan
    folder: Path
    device: str


class Quantizer(Protocol):
    """The target of a ``Quantization``, made without arguments."""

    def load_arguments(self, context: LoadContext) -> dict[str, Any]:
        """Arguments to add to ``from_pretrained``."""

    def prepare(self, model: PreTrainedModel, context: LoadContext) -> PreTrainedModel:
        """After the load, before the adapter."""

    def quantized(self, model: PreTrainedModel) -> Mapping[str, int]:
        """The modules that are really quantized, by path, with the number of weights that each stands for."""


class Tuner(Protocol):
    """The target of a ``TuningMethod``, made without arguments."""

    def attach(self, model: PreTrainedModel, method: MethodPlan, parent: Path | None) -> Any:
        """Prepare the model for training and return it. Initial weights come from torch's seeded generator, or from
        ``parent``, the files of the adapter that is gone on from. Raises ``RunError`` where a target matches nothing.
        """

    def adapted(self, model: Any) -> dict[str, int]:
        """Adapted linear layers by the last part of their name, with how many of each."""

    def save(self, model: Any, folder: Path) -> None:
        """Write what was trained, as safetensors and JSON only. Where what is kept is rounded, round the model too:
        what is proved and scored is what is kept.
        """

    def apply(self, model: PreTrainedModel, folder: Path) -> Any:
        """The base with what ``save`` wrote, ready to answer. Raises ``RunError`` where the files do not fit it."""

    def merge(self, model: Any) -> PreTrainedModel:
        """What ``apply`` returned as a plain model of the base's architecture."""


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
