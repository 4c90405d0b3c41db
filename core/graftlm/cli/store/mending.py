"""Whose a damaged file of the store is, and what to do about it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress

from graftlm.contracts.errors import GraftlmError
from graftlm_registry.adapters.layout import Layout
from graftlm_registry.adapters.records import read_digest
from graftlm_registry.adapters.verifying import Fault
from graftlm_registry.adapters.versions import folders, versions


def whose(layout: Layout, faults: Sequence[Fault]) -> dict[Fault, list[str]]:
    """The adapters that lose something, as far as records tell it."""
    lost = [fault for fault in faults if fault.lost]
    users = _users(layout) if lost else {}
    return {fault: _of(layout, fault, users) for fault in lost}


def advice(layout: Layout, faults: Sequence[Fault]) -> Iterator[str]:
    """A sentence for each damaged folder of files, and each damaged record."""
    said = {}
    for fault, adapters in whose(layout, faults).items():
        place, names = fault.path.relative_to(layout.root).parts, ", ".join(adapters)
        of_record = place[0] == layout.adapters.name
        what = fault.path if of_record else layout.root.joinpath(*place[:2])
        if of_record and adapters and not _files_gone(layout, fault):
            said[what] = (
                f"{names}: bring the record back from a copy, or give it up: graftlm adapters rm {names} (its files "
                "stay until gc)"
            )
        elif adapters:
            said[what] = f"{names}: import or pull a copy of it to mend it"
        elif place[0] in (layout.objects.name, layout.trash.name):
            said[what] = f"{what}: no record that can be read names it"
    yield from said.values()


def _of(layout: Layout, fault: Fault, users: Mapping[str, list[str]]) -> list[str]:
    place = fault.path.relative_to(layout.root).parts
    if place[0] in (layout.objects.name, layout.trash.name) and len(place) > 1:
        return users.get(place[1].partition(".")[0], [])
    if place[0] == layout.adapters.name and len(place) > 2:
        number, _, rest = place[2].partition(".")
        return [f"{place[1]}@{number}"] if rest == "json" and number.isdecimal() else []
    return []


def _files_gone(layout: Layout, fault: Fault) -> bool:
    """Whether it is the files that lack, and not the record that is damaged."""
    with suppress(OSError, GraftlmError):
        return not (layout.objects / read_digest(fault.path, layout.version())).is_dir()
    return False


def _users(layout: Layout) -> dict[str, list[str]]:
    """The versions of each digest, by the records that can be read."""
    found: dict[str, list[str]] = {}
    for name in folders(layout.adapters):
        known = versions(layout, name)
        for number in (*known.kept, *known.removed):
            said = f"{name}@{number}{' (removed)' if number in known.removed else ''}"
            with suppress(OSError, GraftlmError):
                found.setdefault(read_digest(layout.record(name, number), layout.version()), []).append(said)
    return found
