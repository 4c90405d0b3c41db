"""The plugins, looked up by kind and name."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import cached_property, lru_cache
from typing import TypeVar

from graftlm.contracts.errors import PluginError
from graftlm.contracts.spec import Spec

from .discovery import Plugin, discover
from .suggestions import unknown

S = TypeVar("S", bound=Spec)


class Registry:
    """What plugins contribute, by kind and name."""

    def __init__(self, plugins: Iterable[Plugin]) -> None:
        self.plugins = tuple(plugins)

    @cached_property
    def _providers(self) -> dict[tuple[str, str], list[tuple[Plugin, Spec]]]:
        """Providers of each name and alias."""
        found: dict[tuple[str, str], list[tuple[Plugin, Spec]]] = {}
        for plugin in self.plugins:
            for spec in plugin.specs:
                for name in (spec.name, *spec.aliases):
                    found.setdefault((spec.kind, name), []).append((plugin, spec))
        return found

    def contributions(self, kind: str = "") -> Iterator[tuple[Plugin, Spec]]:
        """All specs (of a kind), built-in ones first."""
        return ((p, spec) for p in self.plugins for spec in p.specs if kind in ("", spec.kind))

    def all(self, wanted: type[S]) -> Iterator[S]:
        """All specs of a class."""
        return (spec for _, spec in self.contributions() if isinstance(spec, wanted))

    def names(self, kind: str) -> tuple[str, ...]:
        return tuple(dict.fromkeys(spec.name for _, spec in self.contributions(kind)))

    def kinds(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(spec.kind for _, spec in self.contributions()))

    def find(self, kind: str, name: str) -> tuple[Plugin, Spec]:
        """The provider and the spec of a name or alias; ``PluginError`` where there is none, or more than one."""
        providers = self._providers.get((kind, name), [])
        if not providers:
            broken = [p for p in self.plugins if p.problem]
            raise PluginError(unknown(kind, name, self.names(kind)) + "".join(f"\n{_report(p)}" for p in broken))
        if len(providers) > 1:
            who = " and ".join(dict.fromkeys(f"{p.distribution} ({p.name})" for p, _ in providers))
            raise PluginError(
                f"{kind} '{name}' is provided by {who}: uninstall one of them, or set GRAFTLM_PLUGINS to the names of "
                "the plugins that may load (or to 'none')"
            )
        return providers[0]

    def get(self, wanted: type[S], name: str) -> S:
        """The spec of a class by name or alias."""
        spec = self.find(wanted.kind, name)[1]
        if not isinstance(spec, wanted):
            raise PluginError(f"{wanted.kind} '{name}' is a {type(spec).__name__}, not a {wanted.__name__}")
        return spec


def _report(plugin: Plugin) -> str:
    return f"plugin {plugin.name} of {plugin.distribution} is not loaded: {plugin.problem}"


@lru_cache(maxsize=1)
def registry() -> Registry:
    """The registry of this process."""
    return Registry(discover())
