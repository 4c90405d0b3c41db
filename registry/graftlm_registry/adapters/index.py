"""What the records say, to find adapters quickly: a cache in SQLite, which the records can make anew at any time.

Nothing is right because the index says so. Before it is asked, every name's folder is compared with what the index saw
of it (the time of its last change), and records that it does not have yet are read. A folder that changed in the last
moments may change again within the same tick of its file system's clock, so it is looked at once more next time.
"""

from __future__ import annotations

import json
import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

from graftlm.contracts.errors import GraftlmError, StoreError

from . import marks
from .layout import Layout, explained
from .records import parse_record, record_json
from .search import Search
from .summary import COLUMNS, Summary, summary_of
from .versions import versions

FORM = 2
"""Of the tables: an index of another form is made anew."""
TICK = 2_000_000_000
"""Nanoseconds in which a file system may write the same time twice."""
PATIENCE = 5.0
"""Seconds to wait for another process that writes the index."""
TABLES = f"""
CREATE TABLE names (name TEXT PRIMARY KEY, changed INTEGER) WITHOUT ROWID;
CREATE TABLE tagged (name TEXT PRIMARY KEY, changed INTEGER) WITHOUT ROWID;
CREATE TABLE tags (name TEXT, tag TEXT, version INTEGER, PRIMARY KEY (name, tag)) WITHOUT ROWID;
CREATE TABLE versions ({", ".join(COLUMNS)}, PRIMARY KEY (name, version)) WITHOUT ROWID;
CREATE TABLE records (name TEXT, version INTEGER, file TEXT, json TEXT, PRIMARY KEY (name, version)) WITHOUT ROWID;
CREATE TABLE damaged (name TEXT, what TEXT, why TEXT, PRIMARY KEY (name, what)) WITHOUT ROWID;
CREATE INDEX by_base ON versions (base);
CREATE INDEX by_tag ON tags (tag);
PRAGMA user_version = {FORM};
"""


COMPARED = (
    f"SELECT {', '.join(COLUMNS)} FROM versions ORDER BY name, version",
    "SELECT name, version, json FROM records ORDER BY name, version",
    "SELECT name, tag, version FROM tags ORDER BY name, tag",
)
"""What is said of the store, the name first."""


class Index:
    """Up to date as of its opening."""

    def __init__(self, connection: sqlite3.Connection, layout: Layout) -> None:
        self._connection, self._layout = connection, layout

    def find(self, search: Search) -> list[Summary]:
        """The versions that are asked for, in the order that is asked for."""
        where, values = search.condition()
        rows = self._connection.execute(
            f"SELECT {', '.join(COLUMNS)} FROM versions {where} {search.order()}",
            values,
        ).fetchall()
        return [Summary(*row) for row in rows]

    def tags(self) -> dict[tuple[str, int], list[str]]:
        """By name and version."""
        found: dict[tuple[str, int], list[str]] = {}
        for name, version, tag in self._connection.execute("SELECT name, version, tag FROM tags ORDER BY tag"):
            found.setdefault((name, version), []).append(tag)
        return found

    def record_json(self, summary: Summary) -> str:
        """The whole record."""
        (found,) = self._connection.execute(
            "SELECT json FROM records WHERE name = ? AND version = ?", (summary.name, summary.version)
        ).fetchone()
        return str(found)

    def damaged(self) -> list[str]:
        """What is wrong with the records that cannot be read."""
        return [why for (why,) in self._connection.execute("SELECT why FROM damaged ORDER BY name, what")]

    def refresh(self) -> None:
        """Read what changed, and once more what was damaged."""
        with self._connection:
            now = time.time_ns()
            damaged = {name for (name,) in self._connection.execute("SELECT DISTINCT name FROM damaged")}
            for name in {*_changed(self._connection, "names", _times(self._layout.adapters), now), *damaged}:
                self._connection.execute("DELETE FROM damaged WHERE name = ? AND what NOT LIKE '@%'", (name,))
                self._read(name)
            for name in {*_changed(self._connection, "tagged", _times(self._layout.tags), now), *damaged}:
                self._connection.execute("DELETE FROM damaged WHERE name = ? AND what LIKE '@%'", (name,))
                self._read_tags(name)

    def _read(self, name: str) -> None:
        asked = "SELECT version, file FROM records WHERE name = ?"
        known = dict(self._connection.execute(asked, (name,)))
        kept = {version: _stamp(self._layout.record(name, version)) for version in versions(self._layout, name).kept}
        for version in known.keys() - kept.keys():
            self._forget(name, version)
        layout = self._layout.version()
        for version, stamp in kept.items():
            if known.get(version) == stamp:
                continue
            self._forget(name, version)
            path = self._layout.record(name, version)
            try:
                data = record_json(path, layout)
                record = parse_record(data, f"the record {path}")
                if (record.name, record.version) != (name, version):
                    raise StoreError(f"the record {path} is that of {record.reference}: somebody copied it there")
            except FileNotFoundError:
                continue
            except (OSError, GraftlmError) as error:
                self._damaged(name, str(version), str(error))
                continue
            places = ", ".join("?" * len(COLUMNS))
            row = summary_of(record).row()
            self._connection.execute(f"INSERT OR REPLACE INTO versions VALUES ({places})", row)
            self._connection.execute(
                "INSERT OR REPLACE INTO records VALUES (?, ?, ?, ?)", (name, version, stamp, data.decode())
            )

    def _forget(self, name: str, version: int) -> None:
        for table in ("versions", "records"):
            self._connection.execute(
                f"DELETE FROM {table} WHERE name = ? AND version = ?",
                (name, version),
            )

    def _read_tags(self, name: str) -> None:
        self._connection.execute("DELETE FROM tags WHERE name = ?", (name,))
        for tag in marks.tag_names(self._layout, name):
            try:
                found = marks.read_tag(self._layout, name, tag)
            except (OSError, GraftlmError) as error:
                self._damaged(name, f"@{tag}", str(error))
                continue
            if found is not None:
                self._connection.execute("INSERT INTO tags VALUES (?, ?, ?)", (name, tag, found.version))

    def _damaged(self, name: str, what: str, why: str) -> None:
        self._connection.execute("INSERT OR REPLACE INTO damaged VALUES (?, ?, ?)", (name, what, why))


@contextmanager
def opened(layout: Layout) -> Iterator[Index]:
    """The index of a store, up to date; in memory where it cannot be written."""
    with explained(layout.root):
        index = _opened(layout)
    try:
        with closing(index._connection):
            yield index
    except (sqlite3.DatabaseError, OverflowError) as error:
        with suppress(OSError):
            layout.index.unlink()
        raise StoreError(f"the store's index was damaged ({error}), and was removed: give the command again") from None


def _opened(layout: Layout) -> Index:
    index = None
    if layout.root.is_dir():
        for _ in range(2):
            try:
                index = _kept(layout)
                break
            except sqlite3.OperationalError:
                break  # read-only, full, or busy
            except (sqlite3.DatabaseError, TypeError, ValueError):  # damaged
                with suppress(OSError):
                    layout.index.unlink()
    if index is None:
        index = Index(_connected(":memory:"), layout)
        index.refresh()
    return index


def _kept(layout: Layout) -> Index:
    connection = _connected(str(layout.index))
    try:
        index = Index(connection, layout)
        index.refresh()
    except BaseException:
        connection.close()
        raise
    return index


def _connected(path: str) -> sqlite3.Connection:
    connection = sqlite3.connect(path, timeout=PATIENCE)
    try:
        (form,) = connection.execute("PRAGMA user_version").fetchone()
        if form != FORM:
            _make(connection)
    except BaseException:
        connection.close()
        raise
    return connection


def _make(connection: sqlite3.Connection) -> None:
    """The tables, instead of any that are there."""
    connection.execute("BEGIN IMMEDIATE")
    (form,) = connection.execute("PRAGMA user_version").fetchone()
    if form != FORM:  # nobody was faster
        old = connection.execute("SELECT type, name FROM sqlite_master WHERE sql IS NOT NULL").fetchall()
        for kind, name in sorted(old):  # indices before tables
            connection.execute(f'DROP {kind} IF EXISTS "{name}"')
        for statement in filter(None, map(str.strip, TABLES.split(";"))):
            connection.execute(statement)
    connection.commit()


def _stamp(path: Path) -> str:
    """Changes whenever another file comes into its place, or it is written to."""
    try:
        found = path.stat()
    except OSError:
        return ""
    return f"{found.st_ino} {found.st_size} {found.st_mtime_ns}"


def _times(folder: Path) -> dict[str, int]:
    """When each folder in a folder changed last, in nanoseconds."""
    try:
        with os.scandir(folder) as entries:
            return {e.name: e.stat().st_mtime_ns for e in entries if e.is_dir()}
    except FileNotFoundError:
        return {}


def _changed(connection: sqlite3.Connection, table: str, times: dict[str, int], now: int) -> list[str]:
    """Names to be read, those that are gone among them; the table then knows when they changed."""
    known = dict(connection.execute(f"SELECT name, changed FROM {table}"))
    changed = [name for name, time_ns in times.items() if known.get(name) != time_ns]
    sure = [(name, times[name] if times[name] < now - TICK else 0) for name in changed]
    connection.executemany(f"INSERT OR REPLACE INTO {table} VALUES (?, ?)", sure)
    gone = sorted(known.keys() - times.keys())
    connection.executemany(f"DELETE FROM {table} WHERE name = ?", [(name,) for name in gone])
    return [*changed, *gone]


def index_faults(layout: Layout) -> str:
    """What is wrong with the kept index, compared with one made anew; empty where nothing is, or there is none. Nothing
    is changed: it is brought up to date in memory.
    """
    if not layout.index.exists():
        return ""
    try:
        with (
            closing(sqlite3.connect(f"{layout.index.absolute().as_uri()}?mode=ro", uri=True)) as kept,
            closing(sqlite3.connect(":memory:")) as copy,
            closing(_connected(":memory:")) as fresh,
        ):
            kept.backup(copy)
            if copy.execute("PRAGMA user_version").fetchone() != (FORM,):
                return ""  # of another release, and made anew when it is asked
            for connection in (copy, fresh):
                Index(connection, layout).refresh()
            damaged = {name for (name,) in fresh.execute("SELECT name FROM damaged")}
            same = all(_rows(copy, query, damaged) == _rows(fresh, query, damaged) for query in COMPARED)
    except (sqlite3.DatabaseError, TypeError, ValueError) as error:
        return f"cannot be read ({error}): delete it, and it is made anew"
    return "" if same else "does not say what the records say: delete it, and it is made anew"


def _rows(connection: sqlite3.Connection, query: str, but: set[str]) -> list[tuple[object, ...]]:
    """Without those of names of which something is damaged: the index may have seen it whole."""
    return [row for row in connection.execute(query) if row[0] not in but]


def as_json(index: Index, found: list[Summary], tags: dict[tuple[str, int], list[str]]) -> str:
    """A JSON list of whole records, each with its ``tags``."""
    parts = []
    for summary in found:
        its = json.dumps(tags.get((summary.name, summary.version), []))
        parts.append(f'{{"tags":{its},{index.record_json(summary).strip()[1:]}')
    return f"[{','.join(parts)}]"
