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
from graftlm.contracts.model import ModelDescription
from graftlm.contracts.record import AdapterRecord
from graftlm.contracts.serial import file_digest, to_json
from graftlm.contracts.specs import ModelFamily, PromptTemplate
from graftlm.planning import base_model, fingerprints
from graftlm.planning.encoding_plan import thinks
from graftlm.planning.probing import probe
from graftlm.planning.prompting import JUDGE, choose_template, template_for
from graftlm_registry.adapters import AdapterStore, open_store
from graftlm_registry.adapters.content import content_digest
from graftlm_registry.adapters.names import PATTERN
from graftlm_registry.plugins import Registry

from .worker_process import OnEvent, run_worker


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
        job = _adapter_job(record, _verified(store, record), registry)
    job = replace(job, prompts=tuple(prompts), max_new_tokens=max_new_tokens, system=system)
    folder = Path(tempfile.mkdtemp(prefix="graftlm-"))
    try:
        (folder / "job.json").write_bytes(to_json(job))
        return list(run_worker("generate", folder, on_event)["answers"])
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


def _verified(store: AdapterStore, record: AdapterRecord) -> Path:
    """The adapter's folder, its content as it was published."""
    folder = store.path(record.reference)
    if content_digest(folder) != record.digest:
        raise StoreError(f"the files of {record.reference} in {folder} are not those that were published")
    return folder


def _adapter_job(record: AdapterRecord, adapter: Path, registry: Registry) -> GenerateJob:
    """Refuses a base, a tokenizer or a template that is not the record's."""
    if record.kind != "adapter":
        raise StoreError(f"{record.reference} is an overlay of a whole model, which cannot be generated from yet")
    if record.quantization != "none":
        raise StoreError(
            f"{record.reference} was trained on a {record.quantization} base, which cannot answer here yet"
        )
    reference = record.base.reference
    asked = base_model.request(reference, record.base.revision)
    source, description = base_model.describe(asked, registry)
    folder = source.fetch(asked, description)
    tokenizer = folder / "tokenizer.json"
    if not tokenizer.is_file() or file_digest(tokenizer) != record.tokenizer_hash:
        raise StoreError(f"the tokenizer of {reference} is not the one that {record.reference} was trained with")
    template_for(record.template, description, registry)
    with OwnTemplate.from_folder(description.folder, description.name) as own:
        found = fingerprints.template_hash(undated(registry.get(PromptTemplate, record.template), own))
    if found != record.template_hash:
        raise StoreError(
            f"the template '{record.template}' renders otherwise than when {record.reference} was trained: "
            "use the version of graftlm, or of the plugin, that trained it"
        )
    return GenerateJob(
        model=str(folder),
        weights=description.weights,
        adapter=str(adapter),
        weights_digest=record.base.weights_digest,
        template=record.template,
        device=_device(),
        dtype=record.base.dtype,
        attention=record.effective.attention,
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
    template = _model_template(wanted, family, description, registry)
    device = _device()
    return GenerateJob(
        model=str(source.fetch(asked, description)),
        weights=description.weights,
        adapter="",
        weights_digest="",
        template=template.name,
        device=device,
        dtype="bf16" if device == "cuda" and "bf16" in probe().dtypes else "fp32",
        attention=next(a for a in ("sdpa", "eager") if a in family.facts(description.config).attention_implementations),
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


def _device() -> str:
    return "cuda" if "cuda" in probe().device_types else "cpu"
