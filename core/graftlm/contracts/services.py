"""What a plugin is handed in the worker, and what its target must be. Nothing here imports torch."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from .load import LoadPlan
from .plan import MethodPlan, Plan

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """Samples of one forward pass, on the CPU, right-padded or packed.

    Padded: ``ids``, ``labels`` and ``mask`` are ``int64[samples, longest]``; the mask is 1 on real tokens (padding is
    known by length, never by id), and ``positions`` is None. Packed: the samples lie in one row, ``int64[1, total]``,
    ``positions`` start from 0 at each of them, and there is no mask. A label of -100 is not trained, the first of a
    sample never is. ``tokens`` counts real tokens, ``trained`` the labels that a causal model predicts.
    """

    ids: torch.Tensor
    labels: torch.Tensor
    mask: torch.Tensor | None
    tokens: int
    trained: int
    positions: torch.Tensor | None = None

    def inputs(self, device: str) -> dict[str, Any]:
        """What to call the model with, on ``device``. A mask that hides nothing is left out; and no cache: with one,
        packed samples would see each other.
        """
        mask = None if self.mask is None or bool(self.mask.all()) else self.mask.to(device)
        positions = None if self.positions is None else self.positions.to(device)
        given = {"input_ids": self.ids.to(device), "attention_mask": mask, "position_ids": positions}
        return {name: tensor for name, tensor in given.items() if tensor is not None} | {"use_cache": False}


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


class LossFunction(Protocol):
    """Computes the loss of a micro-batch. ``name`` says how, for the Outcome."""

    name: str

    def __call__(self, model: Any, batch: Batch, /) -> torch.Tensor:
        """The summed loss of the micro-batch's trained tokens in nats, a scalar that can be differentiated."""


class Stateful(Protocol):
    """Something with a state of tensors, numbers, texts, and dicts, lists and tuples of them."""

    def state_dict(self) -> dict[str, Any]: ...

    def load_state_dict(self, state_dict: dict[str, Any], /) -> Any: ...


class TrainingContext(Protocol):
    """What a backend is handed."""

    plan: Plan
    device: str
    folder: Path
    """The base's files."""
    encoded: Path
    """The encoded data: ``train.safetensors`` with ids, labels, offsets; ``order.json`` with samples by step."""
    scratch: Path
    """A folder for the backend's own files, removed after the run."""
    parent: Path | None
    """The files of the adapter that the run goes on from."""

    @property
    def stopped(self) -> bool:
        """Early stopping has ended the run: ``steps`` gives no more, and whoever counts steps otherwise leaves here."""

    def load(self, *, packing: bool = False) -> Any:
        """The base with the method attached, as the plan says, the accelerators' patches in force: a PEFT model where
        the method keeps an adapter. What was loaded is measured; ``RunError`` where it is not the plan's. ``packing``:
        the backend packs the rows itself.
        """

    def loaded(self, model: Any, *, packing: bool = False) -> None:
        """For a backend that loads base and adapter itself: call it once, with the PEFT model, before the first step.
        The run's initial weights are put into the adapter, and the model is measured as ``load`` does.
        """

    def steps(self) -> Steps:
        """The optimizer steps in the plan's order; iterating begins with the first that is not done yet."""

    def resumable(self, name: str, thing: Stateful) -> None:
        """Keep the state of ``thing`` in every checkpoint under this name; where the run goes on from one, it is loaded
        now. The optimizer of ``optimizer`` and torch's, numpy's and Python's own generators are kept already. A state
        may change in an optimizer step alone, before ``stepped``.
        """

    def generator(self) -> torch.Generator:
        """A generator of random numbers on the device, seeded by the plan, whose state every checkpoint keeps."""

    def micro_batches(self) -> Sequence[Batch]:
        """The same data, one forward pass at a time."""

    def learning_rate(self, step: int) -> float:
        """The learning rate of an optimizer step (from 0)."""

    def optimizer(self, model: Any) -> torch.optim.Optimizer:
        """The plan's optimizer over the parameters that want gradients. A group's ``scale`` is its learning rate's
        share of the plan's: set it by ``set_learning_rate``, or multiply."""

    def set_learning_rate(self, optimizer: torch.optim.Optimizer, step: int) -> None:
        """The rate of this step (from 0) in every group."""

    def loss(self, model: Any, batch: Batch) -> torch.Tensor:
        """The summed loss of a micro-batch's trained tokens in nats, as the plan's accelerators compute it. Call it
        under autocast where the precision is bf16 or fp16."""

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
    """How the loss is computed, for the Outcome; empty where it is by ``context.loss``."""

    def prepare(self, plan: Plan, scratch: Path) -> None:
        """Called before torch, transformers or peft is imported: for what must come first."""

    def train(self, context: TrainingContext) -> None:
        """Get the model from ``context.load``, or load it and call ``context.loaded``; train it in place, and report
        each optimizer step."""


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


class SwappingTuner(Tuner, Protocol):
    """A ``Tuner`` whose adapters can live beside each other on a base. Without all of this, they answer alone."""

    def alone(self, folder: Path) -> str:
        """Why what ``save`` wrote can only be used alone on its base; empty where it can be beside others."""

    def kind(self, folder: Path) -> str:
        """Only what is of one kind can be on a base at the same time."""

    def beside(self, model: Any, folder: Path, name: str) -> Any:
        """The model with what ``save`` wrote on it too, to be switched to. ``model`` is the bare base, or what an
        earlier call gave. Raises ``RunError`` where the files do not fit, to a tensor, and leaves the model as it was.
        """

    def switch(self, model: Any, name: str) -> None:
        """From here on the model answers through the adapter of that name, or, by the empty one, as the bare base."""

    def bare(self, model: Any) -> PreTrainedModel:
        """The base with nothing on it, its weights what they were."""

    def mixes(self, folder: Path) -> bool:
        """Whether its rows can stand in one batch with those of others of its kind that do, and of the bare base."""

    def rows(self, names: Sequence[str]) -> Mapping[str, Any]:
        """Arguments of ``generate`` that say whose each row is (the empty name is the base's)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PatchContext:
    """What an accelerator's patch is handed. ``model`` is None before the ``model`` stage.

    What it did goes into ``happened``, by a short name ("layers": 28), at the latest in the first step: it stands in
    the Outcome, and an accelerator that did nothing fails the run.
    """

    plan: Plan
    device: str
    model: Any
    options: Mapping[str, Any]
    happened: dict[str, Any] = field(default_factory=dict)
