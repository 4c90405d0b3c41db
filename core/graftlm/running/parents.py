"""Adapters that are to be combined: of one base, loaded in one way, and trained in the same words."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from graftlm.contracts.errors import StoreError, UsageError
from graftlm.contracts.job import Answerer
from graftlm.contracts.record import AdapterRecord
from graftlm.contracts.specs import Combining, TuningMethod
from graftlm_registry.adapters import AdapterStore, open_store
from graftlm_registry.adapters.content import content_digest
from graftlm_registry.plugins import Registry

from .answerers import of_adapter
from .stored import stored


@dataclass(frozen=True, slots=True)
class Parents:
    """``who`` is the first of them on the base; ``folders`` are their files, by reference."""

    records: tuple[AdapterRecord, ...]
    folders: Mapping[str, Path]
    combining: Combining
    who: Answerer


def parents_of(references: Sequence[str], registry: Registry) -> Parents:
    """Those adapters, their files whole. ``UsageError`` where they cannot be combined, whatever the way."""
    store = open_store()
    records = tuple(store.get(reference) for reference in references)
    names = [record.reference for record in records]
    for i, name in enumerate(names):
        if name in names[:i]:
            raise UsageError(f"{name} is named twice: give it one weight")
    if len(records) < 2:
        raise UsageError("a combination is of two adapters or more: name another one, as NAME=WEIGHT")
    combining = _combining(records, registry)
    for other in records[1:]:
        _check_same(records[0], other)
    folders = {record.reference: _whole(record, store) for record in records}
    who = of_adapter(stored(records[0], store, registry), registry)
    return Parents(records, folders, combining, who)


def _combining(records: Sequence[AdapterRecord], registry: Registry) -> Combining:
    """What their methods have in common."""
    found: list[Combining] = []
    for record in records:
        combining = registry.get(TuningMethod, record.method).combining if record.kind == "adapter" else None
        if combining is None:
            able = [spec.name for spec in registry.all(TuningMethod) if spec.combining is not None]
            raise UsageError(
                f"{record.reference} cannot be combined: it has method {record.method}, and only adapters of the "
                f"methods {', '.join(able)} can"
            )
        if found and combining.method != found[0].method:
            raise UsageError(
                f"{records[0].reference} (method {records[0].method}) and {record.reference} (method {record.method}) "
                "are not made of the same: they cannot be combined"
            )
        found.append(combining)
    return found[0]


def _check_same(one: AdapterRecord, other: AdapterRecord) -> None:
    """``UsageError`` that says what differs."""
    plain = one.load.quantization == other.load.quantization == "none" and one.load.dtype == other.load.dtype
    same_weights = one.base.weights_digest == other.base.weights_digest
    if not (same_weights or (not plain and one.base.files_digest == other.base.files_digest)):
        raise UsageError(f"{one.reference} and {other.reference} are not of one base: {_base(one)} and {_base(other)}")
    known: tuple[tuple[str, Callable[[AdapterRecord], Any]], ...] = (
        ("precision of the base", lambda record: record.load.dtype),
        ("quantization", lambda record: record.load.quantization),
        ("options of the quantization", lambda record: dict(record.load.options)),
        ("RoPE", lambda record: record.load.rope or "that of the base"),
        ("tokenizer", lambda record: record.tokenizer_hash[:12]),
        ("template", lambda record: record.template),
        ("rendering of the template", lambda record: record.template_hash[:12]),
        ("thinking", lambda record: "on" if record.thinking else "off"),
    )
    for what, value in known:
        mine, theirs = value(one), value(other)
        if mine != theirs:
            raise UsageError(
                f"{one.reference} and {other.reference} do not have the same {what} ({mine} and {theirs}): "
                "they cannot be combined"
            )


def _base(record: AdapterRecord) -> str:
    return f"{record.base.name} ({record.base.weights_digest[:12]})"


def _whole(record: AdapterRecord, store: AdapterStore) -> Path:
    folder: Path = store.path(record.reference)
    if content_digest(folder) != record.digest:
        raise StoreError(f"the files of {record.reference} in {folder} are not those that were published")
    return folder
