"""Outcome: what really happened."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Literal


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """A metric of one evaluation at one moment. ``n`` is the number of samples."""

    evaluation: str
    role: Literal["new", "old"]
    metric: str
    moment: Literal["before", "after"]
    value: float
    n: int
    unit: str = "fraction"
    higher_is_better: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Effective:
    """What ran, as measured in the worker, never as asked. Counts are of modules and of scalars."""

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


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """What was proved of the staged adapter.

    ``effect``: largest absolute difference of logits with and without the adapter. ``reload``: the same between the
    adapter in memory and the one reloaded from the staged files. ``base_before`` and ``base_after``: digests of the
    base's weights.
    """

    effect: float
    reload: float
    base_before: str
    base_after: str


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
class Outcome:
    """``losses`` are mean nats a trained token, one an optimizer step; ``validation`` are (step, loss) pairs.

    ``seconds`` is the time in the training loop, ``tokens_per_second`` real (non-padding) tokens in it.
    ``adapter`` is ``name@version`` once published; ``staged`` the folder of the staged adapter, ``digest`` its digest.
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
