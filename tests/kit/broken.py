"""An example of the kit as an installed distribution, sound or with one fault, and what its suite says of it."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

import graftlm
from graftlm.testing import registration
from graftlm.testing.judging import checks, judge
from graftlm.testing.suite import Suite
from graftlm.testing.surroundings import variable
from graftlm_registry.plugins import registry

SCAFFOLDS = Path(graftlm.__file__).parent / "scaffolds"
PACKAGE, ENTRY = "graftlm_acme", "acme"
METADATA = "Metadata-Version: 2.1\nName: graftlm-acme\nVersion: 0.1\n"


@dataclass(frozen=True)
class Fault:
    """One fault of an otherwise sound example. ``changes`` are what stands in its text, and what takes its place (each
    must be there exactly once, in one of its files; ``""`` adds a file's last lines). ``check`` is the name of the
    check that must fail, and ``words`` must stand in its sentence. ``files`` are new ones.
    """

    about: str
    changes: Mapping[str, str]
    check: str
    words: tuple[str, ...]
    files: Mapping[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        return self.about


def texts(kind: str) -> dict[str, str]:
    """The files of a kind's example, by name."""
    return {path.name: path.read_text(encoding="utf-8") for path in (SCAFFOLDS / kind).glob("*.py")}


def faulty(kind: str, fault: Fault) -> Mapping[str, str]:
    """The same with the fault in them."""
    found = texts(kind)
    for old, new in fault.changes.items():
        if not old:
            found["__init__.py"] += new
            continue
        mine = [name for name, text in found.items() if old in text]
        assert len(mine) == 1, f"{old!r} is in {len(mine)} files of the example: {fault.about}"
        assert found[mine[0]].count(old) == 1, f"{old!r} is more than once in {mine[0]}: {fault.about}"
        found[mine[0]] = found[mine[0]].replace(old, new)
    return {**found, **fault.files}


@contextmanager
def installed(kind: str, fault: Fault) -> Iterator[type[Suite]]:
    """The example as distribution graftlm-acme of this process and of those that it starts; its suite."""
    with TemporaryDirectory(prefix="graftlm-broken-") as site:
        package, info = Path(site, PACKAGE), Path(site, f"{PACKAGE}-0.1.dist-info")
        for folder in (package, info):
            folder.mkdir()
        for name, text in faulty(kind, fault).items():
            (package / name).write_text(text, encoding="utf-8")
        (info / "METADATA").write_text(METADATA, encoding="utf-8")
        (info / "entry_points.txt").write_text(f"[graftlm.v1]\n{ENTRY} = {PACKAGE}\n", encoding="utf-8")
        record = sorted(str(path.relative_to(site)) for folder in (package, info) for path in folder.iterdir())
        (info / "RECORD").write_text("".join(f"{line},,\n" for line in [*record, f"{info.name}/RECORD"]), "utf-8")
        paths = os.pathsep.join(filter(None, [site, os.environ.get("PYTHONPATH", "")]))
        with variable("PYTHONPATH", paths):
            sys.path.insert(0, site)
            try:
                _forget()
                suite: type[Suite] = importlib.import_module(f"{PACKAGE}.conformance").AcmeSuite
                yield suite
            finally:
                sys.path.remove(site)
                _forget()


def _forget() -> None:
    """What is known of the plugins of another moment."""
    for name in [name for name in sys.modules if name.partition(".")[0] == PACKAGE]:
        del sys.modules[name]
    importlib.invalidate_caches()
    registry.cache_clear()
    registration._loaded.cache_clear()
    registration._modules.cache_clear()


def is_caught(kind: str, fault: Fault) -> None:
    """The check fails, and its sentence names the fault."""
    with installed(kind, fault) as suite:
        assert fault.check in checks(suite), f"{suite.__name__} has no check {fault.check}"
        (verdict,) = judge(suite, only=(fault.check,))
    assert verdict.state == "failed", f"{fault.about}: {fault.check} is {verdict.state} {verdict.reason}"
    for word in fault.words:
        assert word in verdict.reason, f"{fault.about}: {word!r} is not in {verdict.reason!r}"
