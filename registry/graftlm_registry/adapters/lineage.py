"""Which adapters an adapter comes from, as far back as the records go."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from graftlm.contracts.errors import GraftlmError
from graftlm.contracts.record import AdapterRecord

from .layout import LAYOUT
from .records import read_record
from .references import read_reference
from .store import AdapterStore
from .summary import Summary, summary_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """A version. ``summary`` is None where its record is not here, or cannot be read."""

    reference: str
    state: Literal["kept", "removed", "not here", "damaged"]
    parents: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    summary: Summary | None = None


def lineage(store: AdapterStore, references: Sequence[str]) -> dict[str, Node]:
    """The versions and all their ancestors, by reference."""
    found: dict[str, Node] = {}
    todo = list(references)
    while todo:
        reference = todo.pop()
        if reference not in found:
            found[reference] = _node(store, reference)
            todo += found[reference].parents
    return found


def _node(store: AdapterStore, reference: str) -> Node:
    try:
        record, removed = _record(store, reference)
    except FileNotFoundError:
        return Node(reference=reference, state="not here")
    except (OSError, GraftlmError):
        return Node(reference=reference, state="damaged")
    tags = () if removed else tuple(t for t, version in store.tags(record.name).items() if version == record.version)
    return Node(
        reference=reference,
        state="removed" if removed else "kept",
        parents=record.parents,
        tags=tags,
        notes=() if removed else tuple(note.text for note in store.notes(reference)),
        summary=summary_of(record),
    )


def _record(store: AdapterStore, reference: str) -> tuple[AdapterRecord, bool]:
    """The record, and whether it was removed."""
    asked = read_reference(reference)
    version = asked.version or 0
    layout = store.layout.version() if store.root.exists() else LAYOUT
    removed = store.layout.removed(asked.name, version).exists()
    return read_record(store.layout.record(asked.name, version), layout), removed
