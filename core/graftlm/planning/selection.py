"""Which plugins take part, and what speaks against each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from graftlm.contracts.errors import UsageError
from graftlm.contracts.plan import Part
from graftlm.contracts.situation import Situation
from graftlm.contracts.spec import Requirement, Spec
from graftlm.contracts.specs import (
    Accelerator,
    Backend,
    BackendPreset,
    Evaluator,
    Quantization,
    TuningMethod,
)
from graftlm_registry.plugins import Registry

from .requirements import missing, unmet_devices
from .settings import Settings

DEFAULT_ATTENTION = "sdpa"


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """The chosen plugins. ``why`` says by spec name where a choice is from; ``preset`` is what a preset requires."""

    backend: Backend
    accelerators: tuple[Accelerator, ...]
    quantization: Quantization
    method: TuningMethod
    evaluators: tuple[Evaluator, ...]
    why: dict[tuple[str, str], str]
    preset: tuple[Requirement, ...] = ()

    @property
    def specs(self) -> tuple[Backend | Accelerator | Quantization | TuningMethod | Evaluator, ...]:
        return (self.backend, *self.accelerators, self.quantization, self.method, *self.evaluators)

    @property
    def attention(self) -> str:
        return next(a.attention for a in self.accelerators if a.attention)


def names(joined: str) -> tuple[str, ...]:
    """``a+b`` into names; ``UsageError`` on an empty or a repeated one."""
    found = tuple(part.strip() for part in joined.split("+"))
    if not all(found) or len(set(found)) != len(found):
        raise UsageError(f"'{joined}' is not a list of different names joined by '+'")
    return found


def select(settings: Settings, registry: Registry) -> Selection:
    """Look every name up. A preset of backends stands for its backend and accelerators."""
    why: dict[tuple[str, str], str] = {}
    asked = registry.find("backend", settings["backend"])[1]
    wanted = dict.fromkeys(names(settings["accelerator"]), settings.origins["accelerator"])
    if isinstance(asked, BackendPreset):
        kept = wanted if settings.asked("accelerator") else {}
        wanted = {**dict.fromkeys(asked.accelerators, f"preset {asked.name}"), **kept}
        backend = registry.get(Backend, asked.backend)
        why["backend", backend.name] = f"preset {asked.name}"
    else:
        backend = registry.get(Backend, settings["backend"])
        why["backend", backend.name] = settings.origins["backend"]
    accelerators = [registry.get(Accelerator, name) for name in wanted]
    if not any(a.attention for a in accelerators):
        accelerators.append(registry.get(Accelerator, DEFAULT_ATTENTION))
        wanted[DEFAULT_ATTENTION] = "default"
    why |= {("accelerator", a.name): w for a, w in zip(accelerators, wanted.values(), strict=True)}
    quantization = registry.get(Quantization, settings["quantization"])
    method = registry.get(TuningMethod, settings["method"])
    evaluators = tuple(registry.get(Evaluator, name) for name in names(settings["evaluator"]))
    for kind, spec in (("quantization", quantization), ("method", method), *(("evaluator", e) for e in evaluators)):
        why[kind, spec.name] = settings.origins[kind]
    return Selection(
        backend=backend,
        accelerators=tuple(accelerators),
        quantization=quantization,
        method=method,
        evaluators=evaluators,
        why=why,
        preset=asked.requires if isinstance(asked, BackendPreset) else (),
    )


def parts(chosen: Selection, situation: Situation, registry: Registry) -> tuple[Part, ...]:
    """The chosen plugins with what speaks against each, found out from facts."""
    found = []
    for spec in chosen.specs:
        plugin, _ = registry.find(spec.kind, spec.name)
        problems = [*missing(spec.requires), *unmet_devices(spec.requires, situation.probe)]
        if isinstance(spec, Backend):
            problems += [*missing(chosen.preset), *unmet_devices(chosen.preset, situation.probe)]
            if spec.environment is not None:
                problems.append(
                    f"runs in an environment of its own ('{spec.environment.name}'), which graftlm cannot make yet"
                )
        if isinstance(spec, Accelerator):
            problems += _contested(spec, chosen.accelerators)
        if not isinstance(spec, Evaluator):
            problems += spec.supports(situation)
        found.append(
            Part(
                kind=spec.kind,
                name=spec.name,
                why=chosen.why[spec.kind, spec.name],
                distribution=plugin.distribution,
                version=plugin.version,
                target=getattr(spec, "target", ""),
                problems=tuple(problems),
            )
        )
    return tuple(found)


def _contested(one: Accelerator, all_: Sequence[Accelerator]) -> list[str]:
    return [
        f"{one.name} and {other.name} both claim '{claim}': choose one of them"
        for other in all_
        if other is not one
        for claim in _claims(one)
        if claim in _claims(other)
    ]


def _claims(accelerator: Accelerator) -> tuple[str, ...]:
    """What asks for an attention implementation claims the attention, said or not."""
    return tuple(dict.fromkeys((*accelerator.claims, *(("attention",) if accelerator.attention else ()))))


def part(spec: Spec, why: str, registry: Registry, against: Sequence[str] = ()) -> Part:
    """A part that is not chosen for training: a format, a template, a source, a family."""
    plugin, _ = registry.find(spec.kind, spec.name)
    problems = (*missing(spec.requires), *against)
    return Part(
        kind=spec.kind,
        name=spec.name,
        why=why,
        distribution=plugin.distribution,
        version=plugin.version,
        problems=problems,
    )
