"""Answers from a base model, or through an adapter of the store."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from graftlm.chat_templates.binding import undated
from graftlm.chat_templates.own import OwnTemplate
from graftlm.contracts.config import AUTO
from graftlm.contracts.errors import ModelError, StoreError, UsageError
from graftlm.contracts.job import GenerateJob
from graftlm.contracts.load import LoadPlan
from graftlm.contracts.model import ModelDescription
from graftlm.contracts.record import AdapterRecord
from graftlm.contracts.serial import to_json
from graftlm.contracts.specs import ModelFamily, PromptTemplate
from graftlm.environments.probing import probe
from graftlm.planning import base_model, fingerprints
from graftlm.planning.encoding_plan import thinks
from graftlm.planning.precision import best_device, best_dtype
from graftlm.planning.prompting import JUDGE, choose_template, template_for
from graftlm_registry.adapters import open_store
from graftlm_registry.adapters.names import PATTERN
from graftlm_registry.plugins import Registry

from .stored import Stored, stored
from .worker_process import OnEvent, StartWorker, run_worker


def answer(
    name: str,
    prompts: Sequence[str],
    registry: Registry,
    on_event: OnEvent,
    max_new_tokens: int,
    *,
    template: str = AUTO,
    thinking: str = "",
    system: str = "",
    start: StartWorker | None = None,
) -> list[str]:
    """Greedy answers of ``name``, an adapter (``name`` or ``name@version``) or else a model.

    ``template`` and ``thinking`` (``on`` or ``off``, which is what empty means) are for a model: an adapter's record
    says both. ``system`` is a system text that comes before each prompt.
    """
    store = open_store()
    record = store.get(name) if _is_adapter(name) else None
    if record is None:
        job = _model_job(name, registry, template, thinking)
    else:
        _refuse_other_words(record, template, thinking)
        job = _adapter_job(stored(record, store, registry), registry)
    job = replace(job, prompts=tuple(prompts), max_new_tokens=max_new_tokens, system=system)
    folder = Path(tempfile.mkdtemp(prefix="graftlm-"))
    try:
        (folder / "job.json").write_bytes(to_json(job))
        return list((start or run_worker)("generate", folder, on_event)["answers"])
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _is_adapter(name: str) -> bool:
    """An adapter of the store comes first; a name that is neither is looked up as a model, whose error names both."""
    bare = name.partition("@")[0]
    return PATTERN.fullmatch(bare) is not None and bare in open_store().names()


def _refuse_other_words(record: AdapterRecord, template: str, thinking: str) -> None:
    if template != AUTO:
        raise UsageError(f"{record.reference} answers in the template that it was trained with, '{record.template}'")
    if thinking:
        raise UsageError(
            f"{record.reference} was trained {'with' if record.thinking else 'without'} thinking, and answers so: "
            "leave --thinking out"
        )


def _adapter_job(found: Stored, registry: Registry) -> GenerateJob:
    """Refuses a template that is not the record's."""
    record, description = found.record, found.description
    template_for(record.template, description, registry)
    with OwnTemplate.from_folder(description.folder, description.name) as own:
        now = fingerprints.template_hash(undated(registry.get(PromptTemplate, record.template), own))
    if now != record.template_hash:
        raise StoreError(
            f"the template '{record.template}' renders otherwise than when {record.reference} was trained: "
            "use the version of graftlm, or of the plugin, that trained it"
        )
    return GenerateJob(
        model=str(found.folder),
        weights=description.weights,
        load=found.load,
        kept=found.kept,
        template=record.template,
        device=found.device,
        max_new_tokens=0,
        prompts=(),
        thinking=record.thinking,
    )


def _model_job(name: str, registry: Registry, wanted: str, thinking: str) -> GenerateJob:
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
    return GenerateJob(
        model=str(source.fetch(asked, description)),
        weights=description.weights,
        load=load,
        kept=None,
        template=template.name,
        device=device,
        max_new_tokens=0,
        prompts=(),
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
