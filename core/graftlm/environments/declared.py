"""The environments that backends and evaluators declare."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

from graftlm.contracts.errors import PluginError
from graftlm.contracts.serial import digest
from graftlm.contracts.specs import Backend, Environment, Evaluator
from graftlm_registry.plugins import Registry
from graftlm_registry.suggestions import unknown


@dataclass(frozen=True, slots=True)
class Declared:
    """An environment, and the backends and evaluators that run in it."""

    environment: Environment
    backends: tuple[str, ...] = ()
    evaluators: tuple[str, ...] = ()

    @property
    def digest(self) -> str:
        """Of what is to be installed; variables are read anew at each start."""
        e = self.environment
        return digest([e.requirements, e.constraints, e.overrides, e.python])[:16]

    @property
    def users(self) -> str:
        """``backend trl``, as people read it."""
        named = [*(f"backend {name}" for name in self.backends), *(f"evaluator {name}" for name in self.evaluators)]
        return ", ".join(named)


def declared(registry: Registry) -> dict[str, Declared]:
    """By name. ``PluginError`` where two plugins mean different things by one name."""
    found: dict[str, Declared] = {}
    specs: list[Backend | Evaluator] = [*registry.all(Backend), *registry.all(Evaluator)]
    for spec in specs:
        mine = spec.environment
        if mine is None:
            continue
        known = found.get(mine.name, Declared(mine))
        if not _same(known.environment, mine):
            raise PluginError(
                f"{_both(known, spec)} both name an environment '{mine.name}' and want other things in it: "
                "uninstall one, or set GRAFTLM_PLUGINS"
            )
        if isinstance(spec, Backend):
            known = replace(known, backends=(*known.backends, spec.name))
        else:
            known = replace(known, evaluators=(*known.evaluators, spec.name))
        found[mine.name] = known
    return found


def find(name: str, registry: Registry) -> Declared:
    """``PluginError`` with the nearest names where nobody declares it."""
    known = declared(registry)
    if name not in known:
        raise PluginError(unknown("environment", name, tuple(known)))
    return known[name]


def _both(known: Declared, spec: Backend | Evaluator) -> str:
    if known.backends and isinstance(spec, Backend):
        return f"backends {known.backends[0]} and {spec.name}"
    return f"{known.users.partition(',')[0]} and {spec.kind} {spec.name}"


def _same(one: Environment, other: Environment) -> bool:
    """Variables and imports count too: whichever plugin came first would decide for both."""
    return all(getattr(one, field.name) == getattr(other, field.name) for field in fields(Environment))
