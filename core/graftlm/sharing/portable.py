"""An adapter's files as anybody reads them: a PEFT folder with its model card and its record."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path, PurePath, PureWindowsPath
from typing import Any

from graftlm.contracts.conversation import Conversation, Message, RenderOptions
from graftlm.contracts.errors import GraftlmError, StoreError, UsageError
from graftlm.contracts.evaluated import EvaluationRecord
from graftlm.contracts.record import AdapterRecord
from graftlm.contracts.serial import from_json, to_json
from graftlm.contracts.specs import PromptTemplate
from graftlm_registry.adapters import AdapterStore
from graftlm_registry.adapters.content import content_digest, content_files
from graftlm_registry.plugins import Registry

from .model_card import Card, model_card
from .place import without_userinfo
from .usage import QUESTION

CONFIG, TENSORS, CARD, RECORD = "adapter_config.json", "adapter_model.safetensors", "README.md", "graftlm.json"
LOCAL_URLS = ("file:", "local:")
OWN_TEMPLATE = "model"
"""The template that is the base's own."""


def check_portable(record: AdapterRecord, verb: str) -> None:
    """``UsageError`` where it is no adapter that another tool could read."""
    if record.kind == "overlay":
        raise UsageError(
            f"{record.reference} is an overlay, weights of the base itself, which '{verb}' cannot give: write the "
            f"whole model with: graftlm adapters merge {record.reference} --out DIR"
        )


def write_portable(
    record: AdapterRecord,
    store: AdapterStore,
    folder: Path,
    registry: Registry,
    licence: str = "",
    *,
    notes: bool = False,
) -> AdapterRecord:
    """Fill an empty folder; the record as it is written there. ``notes``: they go onto the card."""
    files = store.path(record.reference)
    if content_digest(files) != record.digest:
        raise StoreError(f"the files of {record.reference} in {files} are not those that were published")
    for path in content_files(files):
        shutil.copyfile(path, folder / path.name)
    record = replace(record, source=public_source(record.source))
    card = card_of(record, store, registry, licence, notes=notes)
    config = folder / CONFIG
    said: dict[str, Any] = json.loads(config.read_text(encoding="utf-8"))
    named = said.get("base_model_name_or_path")
    if not named or is_local(str(named)):
        said["base_model_name_or_path"] = record.load.name
        config.write_text(json.dumps(said, indent=2, sort_keys=True, ensure_ascii=False) + "\n", encoding="utf-8")
    if named and is_local(str(named)):  # nobody else may know where it lay, so that these are other files
        record = replace(record, digest=content_digest(folder))
    (folder / RECORD).write_bytes(to_json(record) + b"\n")
    (folder / CARD).write_text(model_card(card), encoding="utf-8")
    return record


def is_local(reference: str) -> bool:
    """A path of some machine, and no name."""
    rooted = PurePath(reference).is_absolute() or PureWindowsPath(reference).drive != ""
    return rooted or reference.startswith((".", "~", "\\"))


def public_source(source: str) -> str:
    """Where an adapter was found, if others may know and can reach it: no path of this machine, and no password."""
    return "" if is_local(source) or source.startswith(LOCAL_URLS) else without_userinfo(source)


def card_of(
    record: AdapterRecord, store: AdapterStore, registry: Registry, licence: str = "", *, notes: bool = False
) -> Card:
    return Card(
        record=replace(record, source=public_source(record.source)),
        licence=licence,
        prompt=prompt_of(record, registry),
        evaluations=_evaluations(record, store),
        notes=tuple(note.text for note in store.notes(record.reference)) if notes else (),
        tags=tuple(sorted(tag for tag, version in store.tags(record.name).items() if version == record.version)),
    )


def prompt_of(record: AdapterRecord, registry: Registry) -> str:
    """A question in the words of the record's template; empty where only the base can tell them."""
    if record.template == OWN_TEMPLATE:
        return ""
    try:
        template = registry.get(PromptTemplate, record.template)
        options = RenderOptions(generation_prompt=True, thinking=record.thinking)
        spans = template.render(Conversation((Message("user", QUESTION),)), options)
    except GraftlmError:
        return ""
    return "".join(span.text for span in spans)


def _evaluations(record: AdapterRecord, store: AdapterStore) -> tuple[EvaluationRecord, ...]:
    """The oldest first. One that is damaged is left out: 'adapters show' tells of it."""
    found = []
    for folder in store.evaluations(record.reference):
        path = folder / "evaluation.json"
        try:
            found.append(from_json(path.read_bytes(), EvaluationRecord, str(path)))
        except (OSError, GraftlmError):
            continue
    return tuple(sorted(found, key=lambda one: (one.created, one.digest)))
