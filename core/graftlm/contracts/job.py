"""What the front hands to a worker besides the plan."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from .load import LoadPlan
from .plan import EncodingPlan


@dataclass(frozen=True, slots=True, kw_only=True)
class EncodeJob:
    """Rows to encode: ``targets`` maps a split to the folder that is to hold it. ``model`` holds the tokenizer, and
    ``today`` is the plan's.
    """

    model: str
    template: str
    encoding: EncodingPlan
    targets: Mapping[str, str]
    rows: int
    today: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainJob:
    """A run: its folder's name, the folder of the base's files, and where the adapter is staged. ``parent`` is the
    folder of the adapter that it goes on from, or empty. ``proves``: the worker that trains goes on to prove and score;
    where it runs in a backend's own environment, the base environment does that, in a job of its own. ``code`` is the
    digest of the front's graftlm. ``answers``: how many prompts of the data the proof answers with the staged adapter,
    by ``answer_tokens`` at most; ``shown``: how many it answers before and after, to be shown.

    ``resumes``: checkpoints are kept, each after so many steps (``checkpoint_steps``) or seconds
    (``checkpoint_seconds``), of which 0 is never, and gone on from. ``micro_batch`` stands in place of the plan's where
    it is not 0; the ``too_large`` ones ran out of memory. ``any_stack``: other packages than the plan's are told, and
    stop nothing. ``out`` is a folder that the adapter is also written to, or empty.
    """

    run: str
    model: str
    staged: str
    parent: str = ""
    proves: bool = True
    code: str = ""
    answers: int = 0
    answer_tokens: int = 32
    resumes: bool = False
    checkpoint_steps: int = 0
    checkpoint_seconds: float = 0.0
    micro_batch: int = 0
    too_large: tuple[int, ...] = ()
    any_stack: bool = False
    out: str = ""
    shown: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """A kept adapter, or overlay: the folder of its files, its method, and the digest that the base's weights must
    have, or empty where they are loaded otherwise than in training.
    """

    folder: str
    method: str
    weights_digest: str = ""
    rope: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answerer:
    """A model as it answers: a base (``model`` is its folder), or that with what was kept of a run. ``today`` is the
    day that its template writes, or empty.
    """

    model: str
    weights: str
    load: LoadPlan
    kept: Kept | None
    template: str
    device: str
    thinking: bool = False
    today: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class GenerateJob:
    """Prompts for a model."""

    who: Answerer
    max_new_tokens: int
    prompts: tuple[str, ...]
    system: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoreTask:
    """Rows to be answered and scored: ``rows`` is their file, and ``folder`` where all that comes of it is kept.

    ``max_new_tokens`` is 0 where the longest right answer says how long an answer may get. With a ``marker``, an answer
    is what stands after its last occurrence in what is said.
    """

    name: str
    rows: str
    count: int
    folder: str
    evaluators: tuple[str, ...]
    max_new_tokens: int = 0
    marker: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoreJob:
    """``options`` are those of the evaluators; ``encoding`` says how rows whose loss is asked for become samples."""

    who: Answerer
    encoding: EncodingPlan
    tasks: tuple[ScoreTask, ...]
    options: Mapping[str, Any]
    moment: Literal["before", "after"]


@dataclass(frozen=True, slots=True, kw_only=True)
class GivenAnswer:
    """What was said to a row (counted from 0): ``text`` whole, in ``tokens``; ``ended`` by itself, not by running out
    of tokens. ``prompt_tokens`` is what the row asked with; it ``fits``: the model has positions for it and an answer.
    """

    row: int
    text: str
    tokens: int
    ended: bool
    prompt_tokens: int
    fits: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class FitJob:
    """Prove an adapter that graftlm did not train: ``who`` has it, in ``folder``, on its base. ``texts`` are rendered
    prompts that the base is compared on with and without it.
    """

    who: Answerer
    texts: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class MergeJob:
    """Merge an adapter into its base and write the whole model to ``out``, an empty folder.

    ``dtype`` is that of the written weights. ``texts`` are rendered prompts that adapter and merged model are compared
    on.
    """

    model: str
    weights: str
    load: LoadPlan
    kept: Kept
    out: str
    device: str
    texts: tuple[str, ...]
