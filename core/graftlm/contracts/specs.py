"""What the hooks return: one frozen dataclass for each kind of plugin.

Heavy code is named by a *target*, ``"module:attribute"``, resolved in the worker only when it was selected.
A spec is equal to itself alone (there is one of each, and comparing callables means nothing), and is shown by its name.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from .spec import Spec
from .stages import Stage

if TYPE_CHECKING:  # annotations only: the front must start in a blink
    from .conversation import Conversation, RenderOptions, Span
    from .model import FamilyFacts, ModelDescription, ModelRequest, ModelShape
    from .plan import MethodPlan, Plan
    from .situation import Situation
    from .template_model import TemplateModel

Record = Mapping[str, Any]


def anywhere(situation: Situation) -> Sequence[str]:
    """The predicate of a plugin that works in every situation: no reasons against."""
    return ()


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class DataFormat(Spec):
    """How records of one shape become conversations.

    ``recognises(record)`` looks at field names and types only. ``parse(record)`` raises ``DataError`` with the reason,
    without the place, which the reader adds. ``fields`` are the names that it reads. ``write(conversation)`` is the
    inverse of ``parse``, for ``graftlm data convert``; it raises ``DataError`` where the format cannot say it.
    ``documents``: its records are texts without turns.

    Records that hold images, or compare or judge answers, are refused before any format is asked.
    """

    kind: ClassVar[str] = "format"
    recognises: Callable[[Record], bool]
    parse: Callable[[Record], Conversation]
    fields: tuple[str, ...] = ()
    write: Callable[[Conversation], Record] | None = None
    documents: bool = False


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class PromptTemplate(Spec):
    """How a conversation becomes text.

    ``render`` returns spans that concatenate to the text. It is given turns that begin with the user's and alternate,
    tools' answers aside; the system's may stand anywhere. It raises ``DataError`` for what it cannot say.
    ``control_tokens`` are all that it emits as control spans. ``end_token`` ends an answer, and is supervised.
    ``stop_tokens`` end a generation; those that a tokenizer lacks are left out. ``said`` gives what a generation must
    equal to be a given answer: the answer as the template renders it, without thoughts. ``tools``: it renders tools,
    their calls and answers. ``thinking``: it tells a model to reason, or not to. A document is rendered as
    ``document_start``, its text, and ``document_end`` (``end_token`` where empty). ``for_model`` makes the template for
    one model, where that matters (its end-of-text token, its own Jinja).
    """

    kind: ClassVar[str] = "template"
    render: Callable[[Conversation, RenderOptions], Sequence[Span]]
    control_tokens: tuple[str, ...]
    end_token: str
    stop_tokens: tuple[str, ...] = ()
    said: Callable[[str], str] = str.strip
    tools: bool = False
    thinking: bool = False
    document_start: tuple[str, ...] = ()
    document_end: str = ""
    for_model: Callable[[TemplateModel], PromptTemplate] | None = None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class ModelSource(Spec):
    """Where models come from.

    ``accepts(request)`` is cheap and reads no network. ``describe(request)`` brings the small files (config,
    tokenizer, chat template); ``fetch(request, description)`` brings the weights and returns their folder. Both raise
    ``ModelError`` with what to do. Sources are asked in the order of ``rank``, lowest first.
    """

    kind: ClassVar[str] = "source"
    accepts: Callable[[ModelRequest], bool]
    describe: Callable[[ModelRequest], ModelDescription]
    fetch: Callable[[ModelRequest, ModelDescription], Path]
    rank: int = 50


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class ModelFamily(Spec):
    """Architectures that share their facts: those of ``model_types``, as a ``config.json`` names them.

    ``facts(config)`` takes a ``config.json`` as a dict, and raises ``ModelError`` where no facts can serve it.
    ``template(description)`` names the prompt template of a model.
    """

    kind: ClassVar[str] = "family"
    model_types: tuple[str, ...]
    facts: Callable[[Mapping[str, Any]], FamilyFacts]
    template: Callable[[ModelDescription], str]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class Quantization(Spec):
    """How the frozen weights are stored.

    ``target`` resolves to a ``Quantizer`` (see the service protocols). ``bits`` is per weight, scales included; 0
    leaves the dtype. ``exact_linear``: it takes modules that are ``nn.Linear`` itself, so that a family's subclasses
    are replaced by it while the base is loaded. ``supports(situation)`` gives reasons against, none where it works.
    """

    kind: ClassVar[str] = "quantization"
    bits: float
    target: str
    exact_linear: bool = False
    supports: Callable[[Situation], Sequence[str]] = anywhere


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class Accelerator(Spec):
    """Something that makes training faster and computes the same.

    ``claims`` are what it replaces ("attention", "loss", "linear"): two accelerators with one claim exclude each other.
    ``patches`` maps a stage to a target: a context manager factory that takes a ``PatchContext`` and restores what it
    changed; ``process_wide``: it changes what it cannot restore. ``attention`` is what to ask transformers for.
    ``packs``: the samples of a micro-batch lie in one row, without padding. ``loss`` is the target of a factory that
    takes a ``PatchContext``, after the last patch, and gives the ``LossFunction`` to take in place of the plain one;
    ``smooths``: it knows ``plan.training.label_smoothing``. ``logits`` are, by device, the most bytes of logits in fp32
    that it holds at once, where it does not hold those of every position: the plan's memory is reckoned by them, and by
    ``packs``.

    ``supports(situation)`` gives reasons against, none where it is sound. ``rank`` is its place where ``--accelerator
    auto`` chooses: the highest first, 0 never. ``gain`` says in a few words what it saves.
    """

    kind: ClassVar[str] = "accelerator"
    claims: tuple[str, ...]
    patches: Mapping[Stage, str] = field(default_factory=dict)
    attention: str = ""
    packs: bool = False
    loss: str = ""
    logits: Mapping[str, int] = field(default_factory=dict)
    smooths: bool = False
    process_wide: bool = False
    rank: int = 0
    gain: str = ""
    supports: Callable[[Situation], Sequence[str]] = anywhere


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Combination:
    """A way to make one adapter of several. ``equal_ranks``: they must have one rank, which stays. ``density``: it
    keeps a share of their numbers; ``random``: a drawn one. ``any_rank``: a rank can be asked for.
    """

    name: str
    summary: str
    equal_ranks: bool = False
    density: bool = False
    random: bool = False
    any_rank: bool = False


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Combining:
    """How adapters of a method become one of ``method``: its tuner is a ``CombiningTuner``.

    ``check(way, rank, folders)`` gives reasons against the adapters in these folders, by reference, before anything is
    loaded; ``rank`` is 0 where none is asked for. ``settings(folder)`` are the hyperparameters of what was made: rank,
    alpha, dropout, target_modules and options.
    """

    method: str
    ways: tuple[Combination, ...]
    check: Callable[[Combination, int, Mapping[str, Path]], Sequence[str]]
    settings: Callable[[Path], Mapping[str, Any]]

    def way(self, name: str) -> Combination | None:
        return next((way for way in self.ways if way.name == name), None)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class TuningMethod(Spec):
    """What is trained. ``keeps``: a PEFT ``adapter``, or an ``overlay`` of changed base tensors.

    ``target`` resolves to a ``Tuner``, which prepares the model and says what is adapted. ``settings`` are those of
    ``rank``, ``alpha``, ``dropout`` and ``target_modules`` that it has; asking for another is an error.
    ``suggestions`` are settings that suit it, by name, before the model's own. ``trained(shape, method)`` counts
    the parameters that it trains, for the plan's estimate of memory. ``check(method, facts)`` gives reasons against
    its settings and options, together and for this model. ``combining`` says how its adapters can be made one.
    ``supports(situation)`` gives reasons against, none where it works.
    """

    kind: ClassVar[str] = "method"
    keeps: Literal["adapter", "overlay"]
    target: str
    settings: tuple[str, ...] = ("rank", "alpha", "dropout", "target_modules")
    suggestions: Mapping[str, Any] = field(default_factory=dict)
    trained: Callable[[ModelShape, MethodPlan], int] | None = None
    check: Callable[[MethodPlan, FamilyFacts], Sequence[str]] | None = None
    combining: Combining | None = None
    supports: Callable[[Situation], Sequence[str]] = anywhere


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Environment:
    """A virtual environment that a backend, or an evaluator, needs for itself (see ``graftlm envs``).

    ``requirements`` and ``constraints`` are lines as pip reads them; graftlm and the plugins' distributions come by
    themselves. ``overrides`` stand in place of what the packages that ``requirements`` pin with ``==`` say of the same
    project; one whose marker is never true (``; python_version < "0"``) drops it. ``python`` is a range of releases.
    ``variables`` are set for every process that is started there. ``download_mb`` is in megabytes, without torch.
    ``imports`` are the modules that ``graftlm envs check`` imports, in this order, in one process.
    """

    name: str
    requirements: tuple[str, ...]
    constraints: tuple[str, ...] = ()
    overrides: tuple[str, ...] = ()
    python: str = ">=3.11"
    variables: Mapping[str, str] = field(default_factory=dict)
    download_mb: int = 0
    imports: tuple[str, ...] = ("torch",)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class Backend(Spec):
    """What trains. ``target`` resolves to a ``Trainer``: a class, made without arguments.

    ``environment`` is None where the base environment serves. ``packs``: it passes the positions of packed batches on;
    ``losses``: it computes its loss by ``context.loss``, so that an accelerator can bring another. ``plain``: it stays
    as it is where nobody asks for accelerators: a baseline, or what accelerates itself. ``follows`` names the settings
    that it follows beyond those that every backend does (``by_backend`` in the settings' table).
    ``supports(situation)`` gives reasons against, none where it works; ``notes(situation)`` sentences that a plan
    shows and that stop nothing. ``check(plan)`` gives reasons against the whole of a plan.
    ``resumes``: a run of it can be stopped anywhere and gone on with: it takes its steps from ``context.steps``, and
    tells ``context.resumable`` of whatever it keeps from one step to the next.
    ``as_is``: somebody's script, with whatever it makes of the plan: what it does is measured and told in a comparison,
    where of another backend it would be an error, and nothing of it is kept.
    """

    kind: ClassVar[str] = "backend"
    target: str
    environment: Environment | None = None
    packs: bool = False
    losses: bool = False
    plain: bool = True
    follows: tuple[str, ...] = ()
    resumes: bool = False
    as_is: bool = False
    supports: Callable[[Situation], Sequence[str]] = anywhere
    notes: Callable[[Situation], Sequence[str]] = anywhere
    check: Callable[[Plan], Sequence[str]] | None = None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class BackendPreset(Spec):
    """A name for a combination: ``--backend NAME`` means this ``backend`` with these ``accelerators``."""

    kind: ClassVar[str] = "backend"
    backend: str
    accelerators: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Metric:
    """A figure that an evaluator gives. ``unit``: "fraction", "nats per token", …"""

    name: str
    unit: str
    higher_is_better: bool


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class Evaluator(Spec):
    """How answers are scored, by ``metrics``. ``target`` resolves to a callable from an ``EvaluationContext`` to an
    ``EvaluationResult``. ``check(options)`` gives reasons against the options of evaluators; ``fingerprint(options)``
    is of what they stand for beside their text, such as a file's content.

    ``own_tasks``: it brings tasks of its own and scores no rows: its target takes a ``HarnessContext`` and gives a
    ``TaskResult`` a task, with that task's metrics. ``environment`` is where it runs, for one of these alone.
    """

    kind: ClassVar[str] = "evaluator"
    metrics: tuple[Metric, ...]
    target: str
    check: Callable[[Mapping[str, Any]], Sequence[str]] | None = None
    environment: Environment | None = None
    own_tasks: bool = False
    fingerprint: Callable[[Mapping[str, Any]], str] | None = None
