"""Outcome: what really happened."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Literal

Given = Literal["planned", "other", "unseen"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """A metric of one evaluation at one moment, by one evaluator. ``n`` is the number of samples.

    ``low`` and ``high`` are its 95% interval over rows, by ``interval``: Wilson's, or a bootstrap with this ``seed``;
    None and empty where the evaluator does not tell what each row is worth.
    """

    evaluation: str
    role: Literal["new", "old"]
    metric: str
    moment: Literal["before", "after"]
    value: float
    n: int
    unit: str = "fraction"
    higher_is_better: bool = True
    low: float | None = None
    high: float | None = None
    interval: Literal["wilson", "bootstrap", ""] = ""
    seed: int | None = None
    evaluator: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What training did to a metric, on the same rows before and after: ``value`` is after minus before.

    ``low`` and ``high`` are its 95% interval over pairs of rows: Newcombe's for a share, or a bootstrap with this
    ``seed``; None where the evaluator does not tell what each row is worth.
    """

    evaluation: str
    role: Literal["new", "old"]
    metric: str
    value: float
    n: int
    unit: str
    higher_is_better: bool
    low: float | None = None
    high: float | None = None
    interval: Literal["newcombe", "bootstrap", ""] = ""
    seed: int | None = None
    evaluator: str = ""

    @property
    def worse(self) -> bool:
        """The whole interval lies on the side that nobody wants."""
        if self.low is None or self.high is None:
            return False
        return self.high < 0 if self.higher_is_better else self.low > 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """What was measured of a CPU before a run, and what was taken: ``threads``, and torch's ``matmul`` precision.

    ``rates`` are operations a second of products of the run's sizes, by precision, threads and matmul precision.
    ``best`` is the precision ("fp32", "bf16") with the highest rate, and ``gain`` that of the run's own as a share of
    the other's.
    """

    threads: int
    matmul: str
    rates: Mapping[str, float]
    best: str
    gain: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Effective:
    """What ran, as measured in the worker, never as asked. Counts are of modules and of scalars.

    ``quantized_share`` is the share of the base's parameters that is quantized. ``rope`` holds the RoPE parameters of
    the loaded model and its positions. ``patched`` counts the modules whose code is another package's than their
    class says. ``given`` is what the model was given in the first step: the planned samples, or other ids; or it could
    not be seen. ``accelerated`` holds what each accelerator did, by its name. ``machine`` is what was
    measured of the machine, where the run was worth it. ``batch_size`` is 0 where steps were cut by tokens.
    ``optimizer`` is the class that stepped, and ``optimizer_bytes`` what it keeps; empty where the backend brought its
    own.
    """

    device: str
    dtype: str
    attention: str
    backend: str
    linear_layers: int
    quantized_layers: int
    adapted_layers: int
    adapted_modules: Mapping[str, int]
    trainable_parameters: int
    total_parameters: int
    packing: bool
    loss: str
    batch_size: int
    micro_batch: int
    versions: Mapping[str, str]
    quantized_share: float = 0.0
    rope: Mapping[str, Any] = field(default_factory=dict)
    gradient_checkpointing: bool = False
    patched: Mapping[str, int] = field(default_factory=dict)
    given: Given = "unseen"
    accelerated: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    machine: Machine | None = None
    optimizer: str = ""
    optimizer_bytes: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """What was proved of the staged adapter, by loading the base once more and putting the staged files onto it.

    ``effect``: largest absolute difference of logits with and without the adapter. ``reload``: the same between what
    was trained in memory and the reloaded. ``base_before`` and ``base_after``: digests of the base's weights as loaded
    for training, and as loaded after it.
    """

    effect: float
    reload: float
    base_before: str
    base_after: str


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryUse:
    """Bytes. ``imports``: the process before the base was loaded; ``peak``: its largest size until training ended.

    ``device_peak`` is the most that tensors took on an accelerator, ``device_reserved`` the most that was reserved
    there; both 0 on a CPU.
    """

    imports: int
    peak: int
    device_peak: int = 0
    device_reserved: int = 0

    @property
    def training(self) -> int:
        """What a plan's total is to be compared with."""
        return self.device_peak or self.peak - self.imports


@dataclass(frozen=True, slots=True, kw_only=True)
class EncodingCounts:
    """What became of the rows of a split.

    ``used`` rows made ``samples`` (a long text makes several); ``too_long`` and ``nothing_trained`` rows were left out,
    ``truncated`` ones lost a part. Of ``compared`` rows, ``differing`` would have other ids if the tokenizer read the
    rendered text in one piece.
    """

    rows: int = 0
    used: int = 0
    samples: int = 0
    too_long: int = 0
    truncated: int = 0
    nothing_trained: int = 0
    tokens: int = 0
    trained_tokens: int = 0
    compared: int = 0
    differing: int = 0

    def __add__(self, other: EncodingCounts) -> EncodingCounts:
        return EncodingCounts(**{f.name: getattr(self, f.name) + getattr(other, f.name) for f in fields(self)})


@dataclass(frozen=True, slots=True, kw_only=True)
class Spike:
    """A step whose loss stands far above those before it: ``usual`` is their median."""

    step: int
    loss: float
    usual: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Training:
    """What training gave: ``losses`` are mean nats a trained token, one an optimizer step; ``validation`` are
    (step, loss) pairs. ``tokens`` are real (non-padding) ones, and ``seconds`` the time in the training loop;
    ``total_seconds`` counts from the worker's start. ``base_digest`` is of the base's weights as loaded, or empty where
    the backend loads them itself. ``energy`` is what the device took in the training loop, in joules, or None where
    it does not tell. ``kept_step`` is the step whose weights are kept. ``resumed`` are the steps after which the run
    was gone on with, and ``digest`` that of the staged files. ``too_large`` are micro-batches that ran out of memory.
    """

    losses: tuple[float, ...]
    validation: tuple[tuple[int, float], ...]
    tokens: int
    seconds: float
    total_seconds: float
    encoding: EncodingCounts
    effective: Effective
    memory: MemoryUse
    base_digest: str
    energy: float | None = None
    kept_step: int = 0
    stopped_early: bool = False
    spikes: tuple[Spike, ...] = ()
    resumed: tuple[int, ...] = ()
    too_large: tuple[int, ...] = ()
    digest: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """``losses`` are mean nats a trained token, one an optimizer step; ``validation`` are (step, loss) pairs.

    ``seconds`` is the time in the training loop, ``tokens_per_second`` real (non-padding) tokens in it.
    ``adapter`` is ``name@version`` once published; ``staged`` the folder of the staged adapter, ``digest`` its digest.
    ``kept_step`` is the step whose weights these are (0: the last), ``stopped_early``: before all steps were done.
    ``spikes``, ``resumed`` and ``too_large`` are the training's.
    """

    run: str
    plan_hash: str
    first_loss: float
    losses: tuple[float, ...]
    validation: tuple[tuple[int, float], ...]
    tokens: int
    seconds: float
    tokens_per_second: float
    total_seconds: float
    encoding: EncodingCounts
    effective: Effective
    proof: Proof
    scores: tuple[Score, ...]
    staged: str
    digest: str
    adapter: str = ""
    memory: MemoryUse | None = None
    changes: tuple[Change, ...] = ()
    kept_step: int = 0
    stopped_early: bool = False
    spikes: tuple[Spike, ...] = ()
    resumed: tuple[int, ...] = ()
    too_large: tuple[int, ...] = ()

    @property
    def validation_loss(self) -> float | None:
        """Of the weights that are kept; None where nothing was validated."""
        last = self.validation[-1][1] if self.validation else None
        return dict(self.validation).get(self.kept_step, last)
