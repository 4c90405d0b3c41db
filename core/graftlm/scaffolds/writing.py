"""Writing a distribution of somebody's own: an example's files, with other names in them."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path

from graftlm.contracts.errors import PluginError, UsageError
from graftlm_registry.discovery import KIND_OF_HOOK, NAME
from graftlm_registry.plugins import registry
from graftlm_registry.suggestions import unknown

KINDS = tuple(KIND_OF_HOOK.values())
HERE = Path(__file__).parent
AROUND = HERE / "distribution"
"""What is the same for every kind."""
PLACEHOLDER = re.compile(r"graftlm_acme|graftlm-acme|test_acme|Acme|acme|\bKIND\b")


@dataclass(frozen=True)
class Names:
    """What a plugin of this kind and name is called where its name cannot be."""

    kind: str
    name: str

    @cached_property
    def _parts(self) -> list[str]:
        return [part for part in re.split(r"[._-]+", self.name) if part]

    @property
    def distribution(self) -> str:
        return f"graftlm-{'-'.join(self._parts)}"

    @property
    def package(self) -> str:
        return f"graftlm_{'_'.join(self._parts)}"

    @property
    def prefix(self) -> str:
        """Of the names of its classes."""
        camel = "".join(part[0].upper() + part[1:] for part in self._parts)
        return camel if camel[0].isalpha() else f"Plugin{camel}"

    def put_into(self, text: str) -> str:
        """The text of an example with these names in it."""
        instead: Mapping[str, str] = {
            "graftlm_acme": self.package, "graftlm-acme": self.distribution, "test_acme": f"test_{self.package[8:]}",
            "Acme": self.prefix, "acme": self.name, "KIND": self.kind,
        }  # fmt: skip
        return PLACEHOLDER.sub(lambda found: instead[found[0]], text)


def write(kind: str, name: str, into: Path) -> Path:
    """Writes the distribution of a plugin into a new folder of ``into``, and returns that folder. It is there whole, or
    not at all. Raises ``UsageError``, or ``PluginError`` for a kind that is none.
    """
    names = Names(kind, name)
    _check(names)
    folder = into / names.distribution
    if not into.is_dir():
        raise UsageError(f"there is no folder {into}: make it first")
    if os.path.lexists(folder):
        raise UsageError(f"{folder} is there already, and nothing is written over: choose another name, or --into")
    fresh = into / f".{names.distribution}.{os.getpid()}"
    try:
        for path, text in files(names):
            (fresh / path).parent.mkdir(parents=True, exist_ok=True)
            (fresh / path).write_text(text, encoding="utf-8")
        fresh.rename(folder)
    except BaseException:
        shutil.rmtree(fresh, ignore_errors=True)
        raise
    return folder


def files(names: Names) -> Iterator[tuple[Path, str]]:
    """Every file of the distribution, by its path in it."""
    for root, place in ((AROUND, Path()), (HERE / names.kind, Path("graftlm_acme"))):
        for path in sorted(root.rglob("*")):
            if path.is_file() and "__pycache__" not in path.parts:
                target = names.put_into((place / path.relative_to(root)).as_posix())
                yield Path(target), names.put_into(path.read_text(encoding="utf-8"))


def _check(names: Names) -> None:
    """Raises where nothing good can come of it."""
    kind, name = names.kind, names.name
    if kind not in KINDS:
        raise PluginError(unknown("kind of plugin", kind, KINDS))
    if not NAME.fullmatch(name) or not name[-1].isalnum():
        raise UsageError(
            f"{name!r} cannot be the name of a plugin: it must be lower-case letters, digits, '.', '_' and '-', "
            "with a letter or digit at both ends, 64 at most"
        )
    for plugin, spec in registry().contributions(kind):
        if name in (spec.name, *spec.aliases):
            raise UsageError(
                f"{kind} '{name}' would be a duplicate: {plugin.distribution} ({plugin.name}) has it, and neither "
                "could be chosen; choose another name"
            )
    if find_spec(names.package) is not None:
        raise UsageError(f"a package {names.package} is installed already: choose another name")
