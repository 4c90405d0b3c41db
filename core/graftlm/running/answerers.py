"""Who answers: a model, the base of a plan, or an adapter of the store."""

from __future__ import annotations

from graftlm.chat_templates.binding import undated
from graftlm.chat_templates.own import OwnTemplate
from graftlm.contracts.config import AUTO
from graftlm.contracts.errors import ModelError, StoreError
from graftlm.contracts.job import Answerer
from graftlm.contracts.load import LoadPlan
from graftlm.contracts.model import ModelDescription
from graftlm.contracts.plan import Plan
from graftlm.contracts.specs import ModelFamily, PromptTemplate
from graftlm.environments.probing import probe
from graftlm.planning import base_model, fingerprints
from graftlm.planning.encoding_plan import thinks
from graftlm.planning.precision import best_device, best_dtype
from graftlm.planning.prompting import JUDGE, choose_template, template_for
from graftlm_registry.adapters import open_store
from graftlm_registry.plugins import Registry

from .stored import Stored


def of_adapter(found: Stored, registry: Registry) -> Answerer:
    """An adapter with its base. Refuses a template that is not the record's."""
    record, description = found.record, found.description
    template_for(record.template, description, registry)
    with OwnTemplate.from_folder(description.folder, description.name) as own:
        now = fingerprints.template_hash(undated(registry.get(PromptTemplate, record.template), own))
    if now != record.template_hash:
        raise StoreError(
            f"the template '{record.template}' renders otherwise than when {record.reference} was trained: "
            "use the version of graftlm, or of the plugin, that trained it"
        )
    return Answerer(
        model=str(found.folder),
        weights=description.weights,
        load=found.load,
        kept=found.kept,
        template=record.template,
        device=found.device,
        thinking=record.thinking,
    )


def of_plan(plan: Plan, registry: Registry) -> Answerer:
    """The base of a plan, as the plan loads it; its files are fetched."""
    asked = base_model.request(
        plan.model.reference, plan.model.revision, bool(plan.settings.get("offline")), plan.load.trust_remote_code
    )
    source, description = base_model.describe(asked, registry)
    return Answerer(
        model=str(source.fetch(asked, description)),
        weights=plan.model.weights,
        load=plan.load,
        kept=None,
        template=plan.template.name,
        device=plan.device,
        thinking=plan.encoding.thinking,
        today=plan.template.today,
    )


def of_model(name: str, registry: Registry, wanted: str, thinking: str) -> Answerer:
    """A model by its name, as this machine loads it best."""
    asked = base_model.request(name)
    try:
        source, description = base_model.describe(asked, registry)
    except ModelError as error:
        adapters = ", ".join(open_store().names()) or "none"
        raise ModelError(f"{name} is neither an adapter (there are: {adapters}) nor a model: {error}") from None
    family = base_model.family_of(description, "auto", registry)
    facts = family.facts(description.config)
    if facts.remote_code:
        raise ModelError(f"the code of {name} comes with its checkpoint, which 'generate' does not run")
    if description.config.get("quantization_config"):
        raise ModelError(f"the weights of {name} are stored quantized: take the model that they were made from")
    template = _model_template(wanted, family, description, registry)
    device = best_device(probe())
    load = LoadPlan(
        name=description.name,
        dtype=best_dtype(probe(), device),
        attention=next(a for a in ("sdpa", "eager") if a in facts.attention_implementations),
    )
    return Answerer(
        model=str(source.fetch(asked, description)),
        weights=description.weights,
        load=load,
        kept=None,
        template=template.name,
        device=device,
        thinking=thinks(thinking or "off", template, False),
    )


def _model_template(
    wanted: str, family: ModelFamily, description: ModelDescription, registry: Registry
) -> PromptTemplate:
    """The one that is named; else one that renders as the model's own chat template, or that itself."""
    if wanted != AUTO:
        return template_for(wanted, description, registry)
    chosen = choose_template(AUTO, False, family, description, registry)
    if chosen.problems and chosen.own != "none":
        return template_for(JUDGE, description, registry)
    for problem in chosen.problems:
        raise ModelError(f"{description.name} cannot be used with template '{chosen.template.name}': {problem}")
    return chosen.template
