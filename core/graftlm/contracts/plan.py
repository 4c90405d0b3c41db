"""Plan: what will happen. Resolved without torch; equal hashes mean the same work."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from .load import LoadPlan
from .model import FamilyFacts
from .situation import Probe


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """A chosen plugin. ``why``: asked, default, suggested by the model, detected, …; ``problems`` speak against it."""

    kind: str
    name: str
    why: str
    distribution: str
    version: str = ""
    target: str = ""
    problems: tuple[str, ...] = ()

    @property
    def verdict(self) -> str:
        return "; ".join(self.problems) or "ok"


@dataclass(frozen=True, slots=True, kw_only=True)
class Split:
    """Rows of one split: where they come from, how many, and a digest of their contents in order."""

    name: Literal["train", "validation", "test"]
    path: str
    rows: int
    digest: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DataPlan:
    """The rule splits DATA by a hash of each row's content: adding rows moves no old one.

    ``key`` names the rows as they are kept; ``thoughts`` and ``documents`` count rows that have them. ``replayed`` of
    the training rows are from elsewhere, against forgetting.
    """

    format: str
    splits: tuple[Split, ...]
    val_split: float
    test_split: float
    key: str = ""
    thoughts: int = 0
    documents: int = 0
    replayed: int = 0

    def split(self, name: str) -> Split | None:
        return next((s for s in self.splits if s.name == name), None)

    @property
    def digest(self) -> str:
        return "+".join(f"{s.name}:{s.digest}" for s in self.splits)


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelPlan:
    """``folder`` holds the small files; the weights may still have to be fetched. ``digest`` covers the small files."""

    reference: str
    name: str
    source: str
    folder: str
    revision: str
    model_type: str
    family: str
    weights: Literal["files", "random"]
    digest: str
    facts: FamilyFacts


@dataclass(frozen=True, slots=True, kw_only=True)
class TemplatePlan:
    """``hash`` is of the template's rendering of a fixed corpus: two templates with one hash render alike.

    ``own`` says how it stands to the model's own chat template: the same; alike, wherever the model is asked; another;
    or there is none. ``made_of`` is a digest of all that the template may depend on: the model's small files, and the
    code of a plugin that is not graftlm's own. ``today`` is the day that a template writes which asks for it, else
    empty: it is one day for the whole run.
    """

    name: str
    hash: str
    made_of: str
    end_token: str
    stop_tokens: tuple[str, ...]
    own: Literal["same", "alike", "other", "none"] = "none"
    today: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class EncodingPlan:
    """How rows become samples. ``max_length`` is in tokens; ``overlong`` says what becomes of longer rows.

    ``thinking``: the model is asked to reason, and its thoughts are part of its answers.
    """

    max_length: int
    overlong: Literal["drop", "truncate-left", "truncate-right", "error"] = "drop"
    train_on: Literal["assistant", "last", "all"] = "assistant"
    thinking: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingPlan:
    """The numbers of the optimisation. ``steps`` counts optimizer steps; ``warmup_steps`` are the first of them.
    ``batch_size`` is 0 where a step has so many samples that their tokens come nearest to ``tokens_per_step``; its last
    micro-batch may then be smaller. ``packing``: the samples of a micro-batch lie in one row, without padding.
    ``loraplus_ratio`` is the learning rate of LoRA's second matrices, as a multiple of the others'. ``early_stopping``
    counts validations without a better loss after which it stops, 0 where it never does; ``keep`` says which weights
    are kept. ``deterministic``: only kernels that give the same bits each time, and nothing that is measured decides
    how it computes.
    """

    epochs: float
    steps: int
    batch_size: int
    micro_batch: int
    learning_rate: float
    schedule: str
    warmup_steps: int
    weight_decay: float
    max_grad_norm: float
    seed: int
    eval_every: int
    gradient_checkpointing: bool = False
    packing: bool = False
    tokens_per_step: int = 0
    loraplus_ratio: float = 1.0
    label_smoothing: float = 0.0
    neftune_alpha: float = 0.0
    early_stopping: int = 0
    keep: Literal["best", "last"] = "last"
    deterministic: bool = False

    @property
    def step_size(self) -> str:
        """What an optimizer step takes, in words: ``16``, or ``about 4,096 tokens``."""
        return str(self.batch_size) if self.batch_size else f"about {self.tokens_per_step:,} tokens"


@dataclass(frozen=True, slots=True, kw_only=True)
class MethodPlan:
    """``target_modules`` are module names (last parts of their paths), each of which must match.

    ``rank``, ``alpha`` and ``dropout`` are None where the method has no such thing. ``options`` are the method's own.
    ``parent`` is the adapter that the run goes on from, as ``name@version``, and ``parent_digest`` that of its files.
    """

    name: str
    keeps: Literal["adapter", "overlay"]
    target_modules: tuple[str, ...]
    options: Mapping[str, Any]
    rank: int | None = None
    alpha: float | None = None
    dropout: float | None = None
    parent: str = ""
    parent_digest: str = ""


OTHER_ROWS = "other rows"
"""How rows that name no capability are called beside those that do."""
RETENTION_TEXT, UNRELATED_PROMPTS, RETENTION_SUITE = "retention text", "unrelated prompts", "retention suite"
EVALUATIONS = frozenset({OTHER_ROWS, RETENTION_TEXT, UNRELATED_PROMPTS, RETENTION_SUITE})
"""Names that evaluations have by themselves, and no capability may have."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """Something that is scored before and after: a new skill on its test rows (all of them, or those of a
    ``capability``), or an old skill of the base, whose rows are in the file ``path``. ``evaluators`` are its own, or
    none where it is scored by those of the plan.
    """

    name: str
    role: Literal["new", "old"]
    path: str
    rows: int
    digest: str
    capability: str | None = None
    evaluators: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryPlan:
    """What training is expected to take at its peak, in bytes, beside what imports take.

    ``trained`` is what the method adds to the weights, or keeps of them in full precision; ``activations`` are for one
    micro-batch of the longest rows, the head's logits aside. ``available`` is the device's memory. ``advice`` says
    what would make it fit, or is empty. ``tokens`` is the length, and ``samples`` the number of rows, that it is
    reckoned for, and ``positions`` the tokens of the largest micro-batch, its padding included.
    """

    weights: int
    trained: int
    gradients: int
    optimizer: int
    activations: int
    logits: int
    total: int
    available: int
    samples: int
    tokens: int
    positions: int = 0
    advice: tuple[str, ...] = ()

    @property
    def fits(self) -> bool:
        return self.total <= self.available


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Everything that a worker needs. ``settings`` are resolved, by name; ``origins`` say where each is from.

    ``environment`` is the backend's own, or empty, and ``lock`` the digest of what is installed there; ``probe`` is
    what a worker there said.
    ``memory`` is None where the family says nothing of the model's shape. ``notes`` are what a user should know and
    what stops nothing. ``scored_by`` is a digest of what the evaluators are made of beside graftlm's own code.
    """

    version: str
    hash: str
    name: str
    data: DataPlan
    model: ModelPlan
    template: TemplatePlan
    encoding: EncodingPlan
    training: TrainingPlan
    method: MethodPlan
    load: LoadPlan
    parts: tuple[Part, ...]
    evaluations: tuple[Evaluation, ...]
    device: str
    environment: str
    lock: str
    probe: Probe
    settings: Mapping[str, Any]
    origins: Mapping[str, str]
    options: Mapping[str, Mapping[str, Any]]
    memory: MemoryPlan | None = None
    notes: tuple[str, ...] = ()
    scored_by: str = ""

    @property
    def dtype(self) -> str:
        return self.load.dtype

    @property
    def attention(self) -> str:
        return self.load.attention

    @property
    def problems(self) -> tuple[str, ...]:
        return tuple(f"{p.kind} {p.name}: {problem}" for p in self.parts for problem in p.problems)

    def part(self, kind: str) -> Part:
        """The first chosen plugin of a kind."""
        return next(p for p in self.parts if p.kind == kind)

    def all_parts(self, kind: str) -> tuple[Part, ...]:
        return tuple(p for p in self.parts if p.kind == kind)
