"""The environments that backends declare."""

from __future__ import annotations

from dataclasses import dataclass, fields

from graftlm.contracts.errors import PluginError
from graftlm.contracts.serial import digest
from graftlm.contracts.specs import Backend, Environment
from graftlm_registry.plugins import Registry
from graftlm_registry.suggestions import unknown


@dataclass(frozen=True, slots=True)
class Declared:
    """An environment and the backends that run in it."""

    environment: Environment
    backends: tuple[str, ...]

    @property
    def digest(self) -> str:
        """Of what is to be installed; variables are read anew at each start."""
        e = self.environment
        return digest([e.requirements, e.constraints, e.overrides, e.python])[:16]


def declared(registry: Registry) -> dict[str, Declared]:
    """By name. ``PluginError`` where two backends mean different things by one name."""
    found: dict[str, Declared] = {}
    for backend in registry.all(Backend):
        if backend.environment is None:
            continue
        mine = Declared(backend.environment, (backend.name,))
        other = found.get(backend.environment.name)
        if other is not None and not _same(other.environment, mine.environment):
            raise PluginError(
                f"backends {other.backends[0]} and {backend.name} both name an environment "
                f"'{backend.environment.name}' and want other things in it: uninstall one, or set GRAFTLM_PLUGINS"
            )
        backends = (*other.backends, backend.name) if other else mine.backends
        found[backend.environment.name] = Declared(backend.environment, backends)
    return found


def find(name: str, registry: Registry) -> Declared:
    """``PluginError`` with the nearest names where no backend declares it."""
    known = declared(registry)
    if name not in known:
        raise PluginError(unknown("environment", name, tuple(known)))
    return known[name]


def _same(one: Environment, other: Environment) -> bool:
    """Variables and imports count too: whichever backend came first would decide for both."""
    return all(getattr(one, field.name) == getattr(other, field.name) for field in fields(Environment))
