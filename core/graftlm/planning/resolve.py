"""``resolve``: the one function that turns a RunConfig into a Plan."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from graftlm.contracts.config import AUTO, RunConfig
from graftlm.contracts.errors import UsageError
from graftlm.contracts.load import LoadPlan
from graftlm.contracts.model import FamilyFacts, ModelDescription
from graftlm.contracts.plan import ModelPlan, Plan
from graftlm.contracts.record import AdapterRecord
from graftlm.contracts.serial import digest, to_builtins
from graftlm.contracts.situation import Situation
from graftlm.contracts.specs import Backend, ModelFamily, ModelSource, PromptTemplate, TuningMethod
from graftlm.contracts.tracking import Tracker
from graftlm.data.splits import Survey
from graftlm.environments.interpreter import BASE
from graftlm.environments.probing import probe as ask_probe
from graftlm.source import code_digest
from graftlm.version import __version__
from graftlm_registry.adapters.names import RESERVED, check_name
from graftlm_registry.plugins import Registry

from . import base_model, fingerprints, selection
from .acceleration import automatic
from .data_plan import check_replayed, data_request, evaluations, plan_data
from .encoded_rows import sample_lengths
from .encoding_plan import encoding_plan
from .fit import memory_plan
from .followed import unfollowed
from .lengths import longest_samples
from .method_plan import method_plan
from .notes import notes
from .parent import check_base, check_same, inherited, options_of, parent_of
from .plugin_options import plugin_options
from .precision import device_of, dtype_of, memory_of
from .prompting import choose_template, template_plan
from .rope import context, rope_plan
from .settings import Settings, settle
from .sizing import sized
from .training_plan import training_plan

STDIN = "-"


def resolve(config: RunConfig, registry: Registry) -> Plan:
    """What will happen. Raises where a name is unknown or settings exclude each other; what merely speaks against a
    chosen part stands in ``Plan.problems``.
    """
    parent = parent_of(config, registry)
    data, model = _needed(config, parent)
    code = bool(config.trust_remote_code)
    asked = base_model.request(model, _revision(config, parent), bool(config.offline), code)
    source, description = base_model.describe(asked, registry)
    if parent is not None:
        check_base(parent, description, asked=config.model is not None)
    settings = settle(config, _suggestions(config, registry, parent, description))
    family = base_model.family_of(description, settings["family"], registry)
    facts = family.facts(description.config)
    known = settings["allow_template_mismatch"] or settings.origins["template"] == "parent"
    prompting = choose_template(settings["template"], known, family, description, registry)
    template = prompting.template
    request = data_request(settings.values, registry)
    if data == STDIN:  # it can be read once: from here on, its copy is the data
        settings = settings.with_value("data", str(request.data.files[0].path))
    data_plan, data_format, found = plan_data(request, settings, registry)
    if found.documents and not settings.asked("evaluator"):
        settings = settings.with_default("evaluator", "perplexity")
    chosen = selection.select(settings, registry, facts)
    said = options_of(parent, chosen.quantization.name, config.options or {})
    environment = selection.environment_of(chosen, registry)
    probe = ask_probe(environment.interpreter() if environment and environment.kind == "ready" else BASE)
    device = device_of(settings, probe)
    options = _options(chosen, said)
    situation = Situation(
        facts=facts,
        config=description.config,
        probe=probe,
        device=device,
        dtype=dtype_of(settings, probe, device),
        quantization=chosen.quantization.name,
        quantization_bits=chosen.quantization.bits,
        quantization_options=options.get("quantization", {}),
        method=chosen.method.name,
        method_keeps=chosen.method.keeps,
        method_options=options.get("method", {}),
        dropout=settings["dropout"] if "dropout" in chosen.method.settings else 0.0,
        trust_remote_code=settings["trust_remote_code"],
        backend_options=options.get("backend", {}),
        label_smoothing=settings["label_smoothing"],
    )
    if not chosen.accelerators:
        chosen = automatic(chosen, situation, environment, registry)
        options = _options(chosen, said)
    situation = replace(situation, attention=chosen.attention)
    load = LoadPlan(
        name=description.name,
        dtype=situation.dtype,
        attention=chosen.attention,
        quantization=chosen.quantization.name,
        options=situation.quantization_options,
        rope=rope_plan(settings, facts, description) if parent is None or _scales(settings) else parent.load.rope,
        trust_remote_code=settings["trust_remote_code"],
        linear_classes=facts.linear_classes if chosen.quantization.exact_linear else (),
    )
    positions = load.rope.context if load.rope else context(facts, description)
    encoding = encoding_plan(settings, template, bool(found.thoughts), description.name, positions)
    rendering = template_plan(prompting, description)
    lengths = sample_lengths(data_plan, settings, rendering, encoding, description.folder, registry)
    packing = any(a.packs for a in chosen.accelerators)
    training, sizes = training_plan(
        settings,
        data_plan.splits[0].rows,
        packing=packing,
        lengths=lengths,
        validated=bool(data_plan.split("validation")),
    )
    method = method_plan(chosen.method, settings, facts, options.get("method", {}), parent)
    if parent is not None:
        check_same(parent, settings, method, load.rope)
    parts = (
        selection.part(data_format, "detected" if settings["format"] == AUTO else "asked", registry),
        selection.part(template, prompting.why, registry, [*prompting.problems, *_unsaid(template, found)]),
        selection.part(source, "reference", registry),
        selection.part(family, _why_family(settings), registry, _distrusted(facts, load)),
        *selection.parts(chosen, situation, environment, options, registry),
    )
    longest = longest_samples(found.longest, template, encoding, description.folder, data_plan.key)
    reckon = partial(
        memory_plan, facts=facts, load=load, chosen=chosen, method=method, longest=longest, description=description,
        rows=data_plan.splits[0].rows, most=sizes[0], available=memory_of(probe, device), device=device,
    )  # fmt: skip
    fitted = sized(training, sizes, settings, reckon)
    settings, memory = settings.with_chosen(fitted.chosen), fitted.memory
    name = _checked_name(settings, data, asked.catalogue.names())
    evaluators = tuple(evaluator.name for evaluator in chosen.evaluators)
    plan = Plan(
        version=__version__,
        hash="",
        name=name,
        data=data_plan,
        model=_model_plan(model, source, family, description, facts),
        template=rendering,
        encoding=encoding,
        training=fitted.training,
        method=method,
        load=load,
        parts=parts,
        evaluations=evaluations(name, data_plan, found, settings, description, evaluators, registry),
        device=device,
        environment=environment.name if environment else "",
        lock=environment.manifest.lock if environment and environment.manifest else "",
        probe=probe,
        settings={name: value for name, value in settings.values.items() if value is not None},
        origins=settings.origins,
        options=options,
        scored_by=fingerprints.evaluators_digest(chosen.evaluators, options.get("evaluator", {})),
        memory=memory,
        notes=(
            *fitted.notes,
            *notes(settings, data_plan, facts, load, chosen, method, memory, parent, template, training),
            *chosen.backend.notes(situation),
        ),
    )
    check_replayed(plan.evaluations, found, settings)
    return _sealed(_checked(plan, chosen.backend, unfollowed(settings, chosen.backend, said)))


def _options(chosen: selection.Selection, said: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """As a plan that was read has them. Before accelerators are chosen, without theirs."""
    known = said if chosen.accelerators else {kind: theirs for kind, theirs in said.items() if kind != "accelerator"}
    found: dict[str, dict[str, Any]] = json.loads(json.dumps(plugin_options(chosen.specs, known)))
    return found


def _checked(plan: Plan, backend: Backend, unfollowed: Iterable[str]) -> Plan:
    """The plan with what its backend, or this environment, which has to prove its work, has against the whole of it."""
    against = tuple(unfollowed) or tuple(backend.check(plan) if backend.check else ())
    if plan.environment and plan.device not in ask_probe().device_types:
        against += (
            f"environment '{plan.environment}' has a {plan.device} device, and the torch of this one, which proves and "
            f"scores, does not: install a torch for {plan.device} here",
        )
    mine = (replace(p, problems=(*p.problems, *against)) if p.kind == "backend" else p for p in plan.parts)
    return replace(plan, parts=tuple(mine))


def _needed(config: RunConfig, parent: AdapterRecord | None) -> tuple[str, str]:
    model = config.model or (parent.base.reference if parent else "")
    if not config.data:
        raise UsageError("no data: give a file, as in 'graftlm train data.jsonl --model tiny-mistral'")
    if not model:
        raise UsageError("no model: give --model (a built-in name, a folder, a hub id, or shape:NAME)")
    return config.data, model


def _revision(config: RunConfig, parent: AdapterRecord | None) -> str:
    if config.revision or parent is None or config.model not in (None, parent.base.reference):
        return config.revision or ""
    return parent.base.revision


def _suggestions(
    config: RunConfig, registry: Registry, parent: AdapterRecord | None, description: ModelDescription
) -> dict[str, dict[str, object]]:
    """What is suggested, by whom: the adapter that is gone on from, the method, the model."""
    of_parent = inherited(parent) if parent else {}
    method = registry.get(TuningMethod, config.method or str(of_parent.get("method", "lora")))
    return {"parent": of_parent, "method": dict(method.suggestions), "model": dict(description.suggestions)}


def _scales(settings: Settings) -> bool:
    return settings.asked("rope") or settings.asked("context_length")


def _why_family(settings: Settings) -> str:
    return "model_type" if settings["family"] == AUTO else "asked"


def _distrusted(facts: FamilyFacts, load: LoadPlan) -> list[str]:
    if not facts.remote_code or load.trust_remote_code:
        return []
    return [
        "the code of this architecture comes with the checkpoint: give --trust-remote-code to run it on this machine, "
        "or take a checkpoint that transformers has code for"
    ]


def _checked_name(settings: Settings, data: str, models: tuple[str, ...]) -> str:
    name = check_name(_name(data) if settings["name"] is None else settings["name"])
    if name in models:
        raise UsageError(f"--name {name} is a model's name, and 'generate {name}' would be either: choose another")
    return name


def _model_plan(
    reference: str, source: ModelSource, family: ModelFamily, description: ModelDescription, facts: FamilyFacts
) -> ModelPlan:
    return ModelPlan(
        reference=_absolute(reference, description),
        name=description.name,
        source=source.name,
        folder=str(description.folder),
        revision=description.revision,
        model_type=description.model_type,
        family=family.name,
        weights=description.weights,
        digest=fingerprints.model_digest(description),
        facts=facts,
    )


def _name(data: str) -> str:
    """A name for the adapter made of the data's."""
    file = Path(data.rpartition(":")[2].partition("@")[0]) if data.startswith("hf:") else Path(data)
    stem = Path(file.stem).stem if file.suffix in (".gz", ".zst") else file.stem
    name = re.sub(r"[^a-z0-9]+", "-", stem.lower()).strip("-")[:56].strip("-")
    return f"adapter-{name}" if name in RESERVED else name or "adapter"


def _absolute(reference: str, description: ModelDescription) -> str:
    return str(description.folder) if description.source == "folder" else reference


def _unsaid(template: PromptTemplate, found: Survey) -> list[str]:
    """What the data says and the template has no words for."""
    if not found.tools or template.tools:
        return []
    return [f"has no form for tools, which {found.tools} rows have: choose a --template that has, or leave them out"]


def _sealed(plan: Plan) -> Plan:
    """The plan with its hash: of the work, not of names and places, nor of who is told of it."""
    options = {kind: theirs for kind, theirs in plan.options.items() if kind != Tracker.kind}
    work = [
        [(s.name, s.rows, s.digest) for s in plan.data.splits],
        plan.model.digest,
        plan.model.facts,
        plan.template,
        plan.encoding,
        plan.training,
        replace(plan.method, parent=""),
        [(p.kind, p.name, p.distribution, p.version) for p in plan.parts if p.kind != Tracker.kind],
        [(e.role, e.capability, e.digest, e.evaluators) for e in plan.evaluations],
        [plan.device, replace(plan.load, name=""), plan.environment, plan.lock, options],
        [plan.probe.versions, plan.scored_by, code_digest()],
    ]
    return replace(plan, hash=digest(to_builtins(work)))
