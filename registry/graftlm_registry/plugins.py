"""The plugins: found, checked one by one, and looked up by name."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from types import ModuleType
from typing import Any, TypeVar

import pluggy

from graftlm import hookspecs
from graftlm.contracts.errors import PluginError
from graftlm.contracts.spec import Spec

from .suggestions import unknown

GROUP = "graftlm.v1"
BUILT_IN = tuple(
    f"graftlm_plugins.{name}"
    for name in (
        "formats.alpaca", "formats.pairs", "formats.turns",
        "templates.mistral", "templates.qwen", "templates.glm", "templates.falcon",
        "sources.builtin", "sources.shape", "sources.folder", "sources.hub",
        "families.mistral", "families.qwen", "families.glm", "families.falcon",
        "quantization.none",
        "accelerators.sdpa",
        "methods.lora",
        "backends.peft", "backends.trainer",
        "evaluators.exact_match", "evaluators.perplexity",
    )
)  # fmt: skip
HOOKS = tuple(name for name in vars(hookspecs) if name.startswith("graftlm_"))

S = TypeVar("S", bound=Spec)


@dataclass(frozen=True, slots=True)
class Plugin:
    """A module that was found. ``problem`` says why its contributions are not there."""

    name: str
    distribution: str
    version: str
    specs: tuple[Spec, ...] = ()
    problem: str = ""

    @property
    def built_in(self) -> bool:
        return self.distribution == "graftlm"


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
    """The registry of this process: built-in plugins, then those of installed distributions."""
    manager = _manager()
    prefix = "graftlm_plugins."
    built_in = [_checked(manager, import_module(name), name.removeprefix(prefix), "graftlm", "") for name in BUILT_IN]
    return Registry([*built_in, *_strangers(_allowed())])


def _allowed() -> frozenset[str] | None:
    """Names that ``GRAFTLM_PLUGINS`` lets load; None is all."""
    given = os.environ.get("GRAFTLM_PLUGINS")
    if given is None:
        return None
    return frozenset(name.strip() for name in given.split(",") if name.strip() not in ("", "none"))


def _strangers(allowed: frozenset[str] | None) -> Iterator[Plugin]:
    found = entry_points()
    groups = [group for group in found.groups if re.fullmatch(r"graftlm\.v\d+", group)]
    for entry in sorted((e for g in groups for e in found.select(group=g)), key=lambda e: (e.group, e.name)):
        distribution = entry.dist.name if entry.dist else "?"
        version = entry.dist.version if entry.dist else ""
        if allowed is not None and entry.name not in allowed:
            continue
        if entry.group != GROUP:
            problem = f"made for {entry.group}, and this graftlm has {GROUP}: install a release of it for {GROUP}"
            yield Plugin(entry.name, distribution, version, problem=problem)
            continue
        yield _loaded(entry, distribution, version)


def _loaded(entry: EntryPoint, distribution: str, version: str) -> Plugin:
    """A stranger's module may fail in any way when it is imported: that is its problem alone."""
    try:
        module = entry.load()
    except (Exception, SystemExit) as error:  # noqa: BLE001
        problem = f"importing {entry.value} failed: {type(error).__name__}: {error}"
        return Plugin(entry.name, distribution, version, problem=problem)
    return _checked(_manager(), module, entry.name, distribution, version)  # its faults are its own


def _manager() -> pluggy.PluginManager:
    manager = pluggy.PluginManager("graftlm")
    manager.add_hookspecs(hookspecs)
    return manager


def _checked(manager: pluggy.PluginManager, module: Any, name: str, distribution: str, version: str) -> Plugin:
    """The module's contributions, or the first thing that is wrong with them."""
    try:
        manager.register(module, name)
        manager.check_pending()
        callers = manager.get_hookcallers(module) or []
        impls = [impl for caller in callers for impl in caller.get_hookimpls() if impl.plugin is module]
        specs = tuple(spec for impl in impls for spec in _valid(impl))
    except pluggy.PluginValidationError as error:
        return Plugin(name, distribution, version, problem=_misspelt(module) or str(error))
    except (Exception, SystemExit) as error:  # noqa: BLE001 - whatever a stranger's hook raises is its own fault
        return Plugin(name, distribution, version, problem=f"{type(error).__name__}: {error}")
    if not specs:
        return Plugin(name, distribution, version, problem="it contributes nothing (no function with @hookimpl?)")
    return Plugin(name, distribution, version, specs)


def _misspelt(module: ModuleType) -> str:
    from difflib import get_close_matches

    for name in vars(module):
        if name.startswith("graftlm_") and name not in HOOKS:
            near = get_close_matches(name, HOOKS, 1)
            return f"there is no hook {name}" + (f"; did you mean {near[0]}?" if near else "")
    return ""


NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
KIND_OF_HOOK: Mapping[str, str] = {
    "graftlm_data_formats": "format",
    "graftlm_prompt_templates": "template",
    "graftlm_model_sources": "source",
    "graftlm_model_families": "family",
    "graftlm_quantizations": "quantization",
    "graftlm_accelerators": "accelerator",
    "graftlm_tuning_methods": "method",
    "graftlm_backends": "backend",
    "graftlm_evaluators": "evaluator",
    "graftlm_commands": "command",
}


def _valid(impl: pluggy.HookImpl) -> Iterator[Spec]:
    """What a plugin's hook gives; raises on anything that is not a spec of the hook's kind with a proper name."""
    hook = impl.opts["specname"] or impl.function.__name__
    given: Any = impl.function()
    for spec in given:
        if not isinstance(spec, Spec) or spec.kind != KIND_OF_HOOK[hook]:
            raise TypeError(f"{hook} must give {KIND_OF_HOOK[hook]} specs, and gave {spec!r}")
        for name in (spec.name, *spec.aliases):
            if not NAME.fullmatch(name):
                raise ValueError(f"{spec.kind} name {name!r} is not lower-case letters, digits, '.', '_' and '-'")
        yield spec
