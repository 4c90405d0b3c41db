"""All that a plugin's author imports."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pluggy import HookimplMarker

from .contracts.command import Command
from .contracts.conversation import (
    Conversation,
    Message,
    RenderOptions,
    Role,
    Span,
    ToolCall,
    answer,
    content,
    control,
    text,
)
from .contracts.errors import (
    DataError,
    GraftlmError,
    Interrupted,
    ModelError,
    PluginError,
    RunError,
    StoreError,
    UsageError,
)
from .contracts.model import (
    Catalogue,
    CatalogueEntry,
    FamilyFacts,
    LinearShape,
    ModelDescription,
    ModelRequest,
    ModelShape,
)
from .contracts.model_files import read_chat_templates, read_config
from .contracts.optimizing import Optimizer
from .contracts.spec import Option, Requirement, Spec
from .contracts.specs import (
    Accelerator,
    Backend,
    BackendPreset,
    Combination,
    Combining,
    DataFormat,
    Environment,
    Evaluator,
    Metric,
    ModelFamily,
    ModelSource,
    PromptTemplate,
    Quantization,
    Record,
    TuningMethod,
)
from .contracts.tracking import Tracker

if TYPE_CHECKING:
    from .contracts.combining import CombinePlan
    from .contracts.evaluating import EvaluationContext, EvaluationResult, Harness, HarnessContext, TaskResult
    from .contracts.load import LoadPlan, RopePlan
    from .contracts.plan import Evaluation, MethodPlan, Plan
    from .contracts.services import (
        Batch,
        LoadContext,
        LossFunction,
        PatchContext,
        Quantizer,
        Step,
        SwappingTuner,
        Trainer,
        TrainingContext,
        Tuner,
    )
    from .contracts.situation import Device, Probe, Situation
    from .contracts.template_model import Rendered, RenderRequest, TemplateModel
    from .contracts.tracking import TrackedRun, Tracking

hookimpl = HookimplMarker("graftlm")

LATE = {
    "graftlm.contracts.combining": "CombinePlan",
    "graftlm.contracts.load": "LoadPlan RopePlan",
    "graftlm.contracts.plan": "Evaluation MethodPlan Plan",
    "graftlm.contracts.evaluating": "EvaluationContext EvaluationResult Harness HarnessContext TaskResult",
    "graftlm.contracts.services": "Batch LoadContext LossFunction PatchContext Quantizer Step SwappingTuner Trainer "
    "TrainingContext Tuner",
    "graftlm.contracts.situation": "Device Probe Situation",
    "graftlm.contracts.template_model": "RenderRequest Rendered TemplateModel",
    "graftlm.contracts.tracking": "TrackedRun Tracking",
}
"""What plugins meet in the worker, or in annotations only: imported when it is asked for, so that the front starts in a
blink."""


def __getattr__(name: str) -> Any:
    from importlib import import_module

    for module, names in LATE.items():
        if name in names.split():
            return getattr(import_module(module), name)
    raise AttributeError(f"graftlm.api has no {name!r}")


__all__ = [
    "Accelerator",
    "Backend",
    "BackendPreset",
    "Batch",
    "Catalogue",
    "CatalogueEntry",
    "Combination",
    "CombinePlan",
    "Combining",
    "Command",
    "Conversation",
    "DataError",
    "DataFormat",
    "Device",
    "Environment",
    "Evaluation",
    "EvaluationContext",
    "EvaluationResult",
    "Evaluator",
    "FamilyFacts",
    "GraftlmError",
    "Harness",
    "HarnessContext",
    "Interrupted",
    "LinearShape",
    "LoadContext",
    "LoadPlan",
    "LossFunction",
    "Message",
    "MethodPlan",
    "Metric",
    "ModelDescription",
    "ModelError",
    "ModelFamily",
    "ModelRequest",
    "ModelShape",
    "ModelSource",
    "Optimizer",
    "Option",
    "PatchContext",
    "Plan",
    "PluginError",
    "Probe",
    "PromptTemplate",
    "Quantization",
    "Quantizer",
    "Record",
    "RenderOptions",
    "RenderRequest",
    "Rendered",
    "Requirement",
    "Role",
    "RopePlan",
    "RunError",
    "Situation",
    "Span",
    "Spec",
    "Step",
    "StoreError",
    "SwappingTuner",
    "TaskResult",
    "TemplateModel",
    "ToolCall",
    "TrackedRun",
    "Tracker",
    "Tracking",
    "Trainer",
    "TrainingContext",
    "Tuner",
    "TuningMethod",
    "UsageError",
    "answer",
    "content",
    "control",
    "hookimpl",
    "read_chat_templates",
    "read_config",
    "text",
]
