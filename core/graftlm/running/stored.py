"""What is kept of a run, ready for a worker: its base fetched, its files whole."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from graftlm.contracts.errors import PluginError, StoreError
from graftlm.contracts.job import Kept
from graftlm.contracts.load import LoadPlan
from graftlm.contracts.model import ModelDescription
from graftlm.contracts.record import AdapterRecord
from graftlm.contracts.serial import file_digest
from graftlm.contracts.specs import Quantization, TuningMethod
from graftlm.environments.probing import probe
from graftlm.planning import base_model, fingerprints
from graftlm.planning.precision import best_device
from graftlm.planning.requirements import missing
from graftlm_registry.adapters import AdapterStore
from graftlm_registry.adapters.content import content_digest
from graftlm_registry.plugins import Registry


@dataclass(frozen=True, slots=True)
class Stored:
    """An adapter and its base. ``folder`` holds the base's files; ``device`` is this machine's best."""

    record: AdapterRecord
    description: ModelDescription
    folder: Path
    load: LoadPlan
    kept: Kept
    device: str


def stored(record: AdapterRecord, store: AdapterStore, registry: Registry, dtype: str = "") -> Stored:
    """Refuses files, a base or a tokenizer that are not the record's. With a ``dtype`` the base is loaded in it, and
    not quantized. Its loaded weights say whether it is the right one where they are the same as in training; else its
    files do. (Scales of quantized weights are means, whose last bits depend on threads and device.)
    """
    files = store.path(record.reference)
    if content_digest(files) != record.digest:
        raise StoreError(f"the files of {record.reference} in {files} are not those that were published")
    _check_packages(record, registry, quantized=not dtype)
    reference = record.base.reference
    asked = base_model.request(reference, record.base.revision, code=record.load.trust_remote_code)
    source, description = base_model.describe(asked, registry)
    load = record.load
    if dtype:
        load = replace(load, dtype=dtype, quantization="none", options={}, linear_classes=())
    same = load == record.load and load.quantization == "none"
    if not same and fingerprints.model_digest(description) != record.base.files_digest:
        raise StoreError(f"{reference} is not the base that {record.reference} was trained on: its files are others")
    if load.linear_classes:  # they are imported: a record, which may come from anywhere, must not choose that
        known = base_model.family_of(description, record.base.family, registry).facts(description.config).linear_classes
        load = replace(load, linear_classes=tuple(name for name in load.linear_classes if name in known))
    folder = source.fetch(asked, description)
    tokenizer = folder / "tokenizer.json"
    if not tokenizer.is_file() or file_digest(tokenizer) != record.tokenizer_hash:
        raise StoreError(f"the tokenizer of {reference} is not the one that {record.reference} was trained with")
    kept = Kept(
        folder=str(files),
        method=record.method,
        weights_digest=record.base.weights_digest if same else "",
        rope=record.effective.rope,
    )
    return Stored(record, description, folder, load, kept, best_device(probe()))


def _check_packages(record: AdapterRecord, registry: Registry, quantized: bool) -> None:
    specs = [registry.get(TuningMethod, record.method)]
    lacking = missing(requirement for spec in specs for requirement in spec.requires)
    if quantized:
        lacking += missing(registry.get(Quantization, record.quantization).requires)
    if lacking:
        raise PluginError(f"{record.reference} {lacking[0]}")
