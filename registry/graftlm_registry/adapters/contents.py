"""What a store holds, counted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from .collecting import left_behind, tree_bytes
from .index import opened
from .layout import Layout
from .live import PUBLISHING
from .objects import thrown_away
from .search import Search
from .versions import folders, versions


@dataclass(frozen=True, slots=True, kw_only=True)
class Contents:
    """Counts; sizes in bytes. ``bases`` counts versions by the name of their base, the most first. ``staged`` is what
    is being written, ``left_behind`` what of it nobody will finish.
    """

    root: str
    layout: int
    names: int
    versions: int
    removed: int
    bases: Mapping[str, int]
    objects: int
    object_bytes: int
    tags: int
    evaluations: int
    evaluation_bytes: int
    thrown: int
    thrown_bytes: int
    staged: int
    left_behind: int


def contents(layout: Layout) -> Contents:
    with opened(layout) as index:
        found, tags = index.find(Search()), index.tags()
    staged = list(layout.staging.iterdir()) if layout.staging.is_dir() else []
    staged = [path for path in staged if not path.name.startswith(PUBLISHING)]
    thrown = [path for path, _, _ in thrown_away(layout)]
    kept = list(layout.evaluations.glob("*/*/*"))
    return Contents(
        root=str(layout.root),
        layout=layout.version(),
        names=len({its.name for its in found}),
        versions=len(found),
        removed=sum(len(versions(layout, name).removed) for name in folders(layout.adapters)),
        bases=dict(Counter(its.base for its in found).most_common()),
        objects=len(folders(layout.objects)),
        object_bytes=tree_bytes(layout.objects),
        tags=sum(map(len, tags.values())),
        evaluations=len(kept),
        evaluation_bytes=tree_bytes(layout.evaluations),
        thrown=len(thrown),
        thrown_bytes=tree_bytes(layout.trash),
        staged=len(staged),
        left_behind=sum(map(left_behind, staged)),
    )
