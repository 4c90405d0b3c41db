"""The hooks, all of them. A hook takes no arguments, is cheap, imports nothing heavy, and returns specs.

A plugin is a module with functions of these names, decorated with ``graftlm.api.hookimpl``. Selection is by the specs'
names, never by the order of hooks.

This is ``graftlm.v1``, and it is settled: specs grow by keyword fields with defaults alone, and no hook goes.
"""

from __future__ import annotations

from collections.abc import Iterable

from pluggy import HookspecMarker

from .contracts.command import Command
from .contracts.optimizing import Optimizer
from .contracts.specs import (
    Accelerator,
    Backend,
    BackendPreset,
    DataFormat,
    Evaluator,
    ModelFamily,
    ModelSource,
    PromptTemplate,
    Quantization,
    TuningMethod,
)
from .contracts.tracking import Tracker

hookspec = HookspecMarker("graftlm")


# Data formatting


@hookspec
def graftlm_data_formats() -> Iterable[DataFormat]:  # type: ignore[empty-body]
    """Turn records of one shape into conversations.

    >>> @hookimpl
    ... def graftlm_data_formats():
    ...     yield DataFormat(
    ...         name="riddles", summary="riddle and solution",
    ...         recognises=lambda record: {"riddle", "solution"} <= record.keys(),
    ...         parse=lambda record: Conversation((
    ...             Message("user", record["riddle"]), Message("assistant", record["solution"]))))
    """


# Prompt templates


@hookspec
def graftlm_prompt_templates() -> Iterable[PromptTemplate]:  # type: ignore[empty-body]
    """Render a conversation into spans of text.

    >>> @hookimpl
    ... def graftlm_prompt_templates():
    ...     yield PromptTemplate(name="plain", summary="no markup", end_token="</s>", control_tokens=("</s>",),
    ...         render=lambda conversation, options: [content(m.content) for m in conversation.messages])
    """


# Model loading


@hookspec
def graftlm_model_sources() -> Iterable[ModelSource]:  # type: ignore[empty-body]
    """Turn a reference into a model's files.

    >>> @hookimpl
    ... def graftlm_model_sources():
    ...     yield ModelSource(name="mirror", summary="models of our own mirror",
    ...         accepts=lambda request: request.reference.startswith("mirror:"), describe=describe, fetch=fetch)
    """


@hookspec
def graftlm_model_families() -> Iterable[ModelFamily]:  # type: ignore[empty-body]
    """State the facts about architectures.

    >>> @hookimpl
    ... def graftlm_model_families():
    ...     yield ModelFamily(name="phi", summary="Phi-3", model_types=("phi3",),
    ...         facts=lambda config: FamilyFacts(attention=("qkv_proj", "o_proj"), mlp=("gate_up_proj", "down_proj")),
    ...         template=lambda model: "chatml")
    """


@hookspec
def graftlm_quantizations() -> Iterable[Quantization]:  # type: ignore[empty-body]
    """Store the frozen weights in fewer bits.

    >>> @hookimpl
    ... def graftlm_quantizations():
    ...     yield Quantization(name="nf4", summary="4-bit NormalFloat", bits=4, target="acme.nf4:Nf4")
    """


# Acceleration


@hookspec
def graftlm_accelerators() -> Iterable[Accelerator]:  # type: ignore[empty-body]
    """Train faster and compute the same: ``graftlm.testing.AcceleratorSuite`` compares the gradients.

    >>> @hookimpl
    ... def graftlm_accelerators():
    ...     yield Accelerator(name="fused-norm", summary="norms as one kernel", claims=("norm",),
    ...         patches={"model": "acme.fused:patch"}, rank=30, gain="fewer kernels")
    """


# Training


@hookspec
def graftlm_tuning_methods() -> Iterable[TuningMethod]:  # type: ignore[empty-body]
    """Decide what is trained.

    >>> @hookimpl
    ... def graftlm_tuning_methods():
    ...     yield TuningMethod(name="bitfit", summary="biases only", keeps="overlay", target="acme.bitfit:BitFit")
    """


@hookspec
def graftlm_optimizers() -> Iterable[Optimizer]:  # type: ignore[empty-body]
    """Turn gradients into steps.

    >>> @hookimpl
    ... def graftlm_optimizers():
    ...     yield Optimizer(name="sign", summary="steps of one size", target="acme.sign:sign", state_bytes=0)
    """


@hookspec
def graftlm_backends() -> Iterable[Backend | BackendPreset]:  # type: ignore[empty-body]
    """Train.

    >>> @hookimpl
    ... def graftlm_backends():
    ...     yield Backend(name="acme", summary="the ACME trainer", target="acme.training:Acme")
    ...     yield Backend(name="acme-2", summary="the next ACME trainer", target="acme.training:Acme2",
    ...         environment=Environment(name="acme-2", requirements=("acme-trainer>=2",), download_mb=40))
    ...     yield BackendPreset(name="acme-fast", summary="acme with fused-loss", backend="acme",
    ...         accelerators=("sdpa", "fused-loss"))
    """


# Evaluation


@hookspec
def graftlm_evaluators() -> Iterable[Evaluator]:  # type: ignore[empty-body]
    """Score answers.

    >>> @hookimpl
    ... def graftlm_evaluators():
    ...     yield Evaluator(name="length", summary="mean length", target="acme.length:score",
    ...         metrics=(Metric(name="length", unit="characters", higher_is_better=False),))
    """


# Tracking


@hookspec
def graftlm_trackers() -> Iterable[Tracker]:  # type: ignore[empty-body]
    """Show a run's figures elsewhere, while it runs: ``graftlm.testing.TrackerSuite`` judges it.

    >>> @hookimpl
    ... def graftlm_trackers():
    ...     yield Tracker(name="logbook", summary="the laboratory's logbook", target="acme.logbook:Logbook",
    ...         options=(Option(name="page", type="str", default="", help="where it is written"),))
    """


# Commands


@hookspec
def graftlm_commands() -> Iterable[Command]:  # type: ignore[empty-body]
    """Add a command to the CLI.

    >>> @hookimpl
    ... def graftlm_commands():
    ...     yield Command(name="acme", summary="Talk to ACME", target="acme.cli:main")
    ...     yield Command(name="import-acme", group="config", summary="Read ACME's files", target="acme.cli:read")
    """
