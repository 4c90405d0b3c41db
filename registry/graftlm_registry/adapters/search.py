"""Which adapters a list shows, and in which order."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

ORDERS = {
    "name": "name, version",
    "created": "created DESC, name, version",
    "score": "after IS NULL, after * better DESC, name, version",
    "gain": "after IS NULL OR before IS NULL, (after - before) * better DESC, name, version",
    "forgot": "forgot IS NULL, forgot DESC, name, version",
    "rows": "rows DESC, name, version",
}
"""The best, the newest or the most first; by name from a to z."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Search:
    """Empty fields ask for nothing. ``name`` is a pattern with ``*`` and ``?``; ``since`` is the start of a time in
    ISO 8601. ``base`` is a model's name, or the reference by which it was asked for; ``newest`` leaves the last version
    of each name.
    """

    name: str = ""
    base: str = ""
    tag: str = ""
    family: str = ""
    method: str = ""
    template: str = ""
    quantization: str = ""
    kind: str = ""
    origin: str = ""
    since: str = ""
    newest: bool = False
    sort: str = "name"
    limit: int = 0

    def condition(self) -> tuple[str, list[object]]:
        """SQL, and its values."""
        parts = list(self._parts())
        where = " AND ".join(part for part, _ in parts)
        return (f"WHERE {where}" if parts else ""), [value for _, values in parts for value in values]

    def _parts(self) -> Iterator[tuple[str, list[object]]]:
        for column in ("family", "method", "template", "quantization", "kind", "origin"):
            if value := getattr(self, column):
                yield f"{column} = ?", [value]
        if self.name:
            yield "name GLOB ?", [self.name]
        if self.base:
            yield "(base = ? OR reference = ?)", [self.base, self.base]
        if self.since:
            yield "created >= ?", [self.since]
        if self.tag:
            yield "(name, version) IN (SELECT name, version FROM tags WHERE tag = ?)", [self.tag]
        if self.newest:
            yield "(name, version) IN (SELECT name, max(version) FROM versions GROUP BY name)", []

    def order(self) -> str:
        """SQL."""
        return f"ORDER BY {ORDERS[self.sort]}" + (f" LIMIT {int(self.limit)}" if self.limit else "")
