"""``resolve``: the one function that turns a RunConfig into a Plan."""

from __future__ import annotations

import math
import re
from dataclasses import replace
from pathlib import Path

from graftlm.contracts.config import AUTO, RunConfig
from graftlm.contracts.errors import UsageError
from graftlm.contracts.model import FamilyFacts, ModelDescription
from graftlm.contracts.plan import MethodPlan, ModelPlan, Plan, TemplatePlan, TrainingPlan
from graftlm.contracts.serial import digest, to_builtins
from graftlm.contracts.situation import Probe, Situation
from graftlm.contracts.specs import PromptTemplate
from graftlm.data.splits import Survey
from graftlm.version import __version__
from graftlm_registry.adapters.names import RESERVED, check_name
from graftlm_registry.plugins import Registry
from graftlm_registry.suggestions import unknown

from . import base_model, fingerprints, selection
from .data_plan import data_request, evaluations, plan_data
from .encoding_plan import encoding_plan
from .plugin_options import plugin_options
from .probing import probe as ask_probe
from .prompting import choose_template
from .settings import Settings, settle

STDIN = "-"


def resolve(config: RunConfig, registry: Registry) -> Plan:
    """What will happen. Raises where a name is unknown or settings exclude each other; what merely speaks against a
    chosen part stands in ``Plan.problems``.
    """
    data, model = _needed(config)
    asked = base_model.request(model, config.revision or "", bool(config.offline))
    source, description = base_model.describe(asked, registry)
    settings = settle(config, description.suggestions)
    family = base_model.family_of(description, settings["family"], registry)
    facts = family.facts(description.config)
    prompting = choose_template(
        settings["template"], settings["allow_template_mismatch"], family, description, registry
    )
    template = prompting.template
    request = data_request(settings.values)
    if data == STDIN:  # it can be read once: from here on, its copy is the data
        settings = settings.with_value("data", str(request.data.files[0].path))
    data_plan, data_format, found = plan_data(request, settings, registry)
    if found.documents and not settings.asked("evaluator"):
        settings = settings.with_default("evaluator", "perplexity")
    chosen = selection.select(settings, registry)
    options = plugin_options(chosen.specs, config.options or {})
    probe = ask_probe()
    device = _device(settings, probe)
    dtype = _dtype(settings, probe, device)
    situation = Situation(
        facts=facts,
        config=description.config,
        probe=probe,
        device=device,
        dtype=dtype,
        quantization_bits=chosen.quantization.bits,
        method_keeps=chosen.method.keeps,
    )
    parts = (
        selection.part(data_format, "detected" if settings["format"] == AUTO else "asked", registry),
        selection.part(template, prompting.why, registry, [*prompting.problems, *_unsaid(template, found)]),
        selection.part(source, "reference", registry),
        selection.part(family, "model_type" if settings["family"] == AUTO else "asked", registry),
        *selection.parts(chosen, situation, registry),
    )
    name = check_name(_name(data) if settings["name"] is None else settings["name"])
    if name in asked.catalogue.names():
        raise UsageError(f"--name {name} is a model's name, and 'generate {name}' would be either: choose another")
    plan = Plan(
        version=__version__,
        hash="",
        name=name,
        data=data_plan,
        model=ModelPlan(
            reference=_absolute(model, description),
            name=description.name,
            source=source.name,
            folder=str(description.folder),
            revision=description.revision,
            model_type=description.model_type,
            family=family.name,
            weights=description.weights,
            digest=fingerprints.model_digest(description),
            facts=facts,
        ),
        template=TemplatePlan(
            name=template.name,
            hash=prompting.hash,
            made_of=digest([fingerprints.small_files(description.folder), fingerprints.strangers_code(template)]),
            end_token=template.end_token,
            stop_tokens=template.stop_tokens,
            own=prompting.own,
            today=prompting.today,
        ),
        encoding=encoding_plan(settings, template, bool(found.thoughts), description),
        training=_training(settings, data_plan.splits[0].rows),
        method=MethodPlan(
            name=chosen.method.name,
            keeps=chosen.method.keeps,
            rank=settings["rank"],
            alpha=settings["alpha"],
            dropout=settings["dropout"],
            target_modules=_targets(settings["target_modules"], facts),
            options=options.get("method", {}),
        ),
        parts=parts,
        evaluations=evaluations(name, data_plan, found, settings, description),
        device=device,
        dtype=dtype,
        attention=chosen.attention,
        environment=chosen.backend.environment.name if chosen.backend.environment else "",
        probe=probe,
        settings={name: value for name, value in settings.values.items() if value is not None},
        origins=settings.origins,
        options=options,
    )
    return _sealed(plan)


def _needed(config: RunConfig) -> tuple[str, str]:
    if not config.data:
        raise UsageError("no data: give a file, as in 'graftlm train data.jsonl --model tiny-mistral'")
    if not config.model:
        raise UsageError("no model: give --model (a built-in name, a folder, a hub id, or shape:NAME)")
    return config.data, config.model


def _name(data: str) -> str:
    """A name for the adapter made of the data's."""
    file = Path(data.rpartition(":")[2].partition("@")[0]) if data.startswith("hf:") else Path(data)
    stem = Path(file.stem).stem if file.suffix in (".gz", ".zst") else file.stem
    name = re.sub(r"[^a-z0-9]+", "-", stem.lower()).strip("-")[:56].strip("-")
    return f"adapter-{name}" if name in RESERVED else name or "adapter"


def _absolute(reference: str, description: ModelDescription) -> str:
    return str(description.folder) if description.source == "folder" else reference


def _device(settings: Settings, probe: Probe) -> str:
    wanted: str = settings["device"]
    if wanted == AUTO:
        return "cuda" if "cuda" in probe.device_types else "cpu"
    if wanted not in probe.device_types:
        raise UsageError(f"--device {wanted}: this machine has only {', '.join(probe.device_types)}")
    return wanted


def _dtype(settings: Settings, probe: Probe, device: str) -> str:
    """``auto``: bf16 on a GPU that has it, fp32 elsewhere."""
    wanted: str = settings["dtype"]
    if wanted == AUTO:
        return "bf16" if device == "cuda" and "bf16" in probe.dtypes else "fp32"
    if wanted == "fp16" and device == "cpu":
        raise UsageError("--dtype fp16 trains on a GPU only: use bf16 or fp32 on a CPU")
    if wanted not in probe.dtypes:
        raise UsageError(f"--dtype {wanted}: this machine has only {', '.join(probe.dtypes)}")
    return wanted


def _unsaid(template: PromptTemplate, found: Survey) -> list[str]:
    """What the data says and the template has no words for."""
    if not found.tools or template.tools:
        return []
    return [f"has no form for tools, which {found.tools} rows have: choose a --template that has, or leave them out"]


def _training(settings: Settings, rows: int) -> TrainingPlan:
    batch: int = settings["batch_size"]
    micro: int = settings["micro_batch"]
    if not settings.asked("micro_batch"):
        micro = max(n for n in range(1, min(micro, batch) + 1) if batch % n == 0)
    if batch % micro:
        raise UsageError(f"--batch-size {batch} is not a multiple of --micro-batch {micro}")
    steps = settings["max_steps"] or math.ceil(rows * settings["epochs"] / batch)
    return TrainingPlan(
        epochs=round(steps * batch / rows, 4),
        steps=steps,
        batch_size=batch,
        micro_batch=micro,
        learning_rate=settings["learning_rate"],
        schedule=settings["schedule"],
        warmup_steps=min(math.ceil(steps * settings["warmup"]), steps - 1),  # a first rate of 0 teaches nothing
        weight_decay=settings["weight_decay"],
        max_grad_norm=settings["max_grad_norm"],
        seed=settings["seed"],
        eval_every=settings["eval_every"] or max(1, steps // 10),
    )


def _targets(wanted: str, facts: FamilyFacts) -> tuple[str, ...]:
    groups = {
        AUTO: facts.default_targets or facts.attention,
        "attention": facts.attention,
        "mlp": facts.mlp,
        "all-linear": facts.attention + facts.mlp,
    }
    if wanted in groups:
        return groups[wanted]
    known = facts.attention + facts.mlp
    names = tuple(part.strip() for part in wanted.split(","))
    for name in names:
        if name not in known:
            raise UsageError(unknown("target module", name, (*known, "attention", "mlp", "all-linear")))
    return tuple(dict.fromkeys(names))


def _sealed(plan: Plan) -> Plan:
    """The plan with its hash: of the work, not of names and places."""
    work = [
        [(s.name, s.rows, s.digest) for s in plan.data.splits],
        plan.model.digest,
        plan.model.facts,
        plan.template,
        plan.encoding,
        plan.training,
        plan.method,
        [(p.kind, p.name, p.distribution, p.version) for p in plan.parts],
        [(e.role, e.capability, e.digest) for e in plan.evaluations],
        [plan.device, plan.dtype, plan.attention, plan.environment, plan.options],
        [plan.probe.versions, fingerprints.code_digest()],
    ]
    return replace(plan, hash=digest(to_builtins(work)))
