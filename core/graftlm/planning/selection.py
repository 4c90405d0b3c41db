"""Which plugins take part, and what speaks against each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from graftlm.contracts.config import AUTO, NONE
from graftlm.contracts.errors import UsageError
from graftlm.contracts.model import FamilyFacts
from graftlm.contracts.optimizing import Optimizer
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
from graftlm.contracts.tracking import Tracker
from graftlm.environments.declared import find
from graftlm.environments.state import State, state_of
from graftlm_registry.plugins import Registry

from .plugin_options import own_options
from .requirements import missing, unmet_devices
from .settings import Settings

DEFAULT_ATTENTION = ("sdpa", "eager")
"""The first that a model has; the first of all where the facts name none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """The chosen plugins. ``why`` says by spec name where a choice is from; ``preset`` is what a preset requires;
    ``left_out`` why accelerators were not chosen. They are none where they are still to be (``automatic``).
    """

    backend: Backend
    accelerators: tuple[Accelerator, ...]
    quantization: Quantization
    method: TuningMethod
    optimizer: Optimizer
    evaluators: tuple[Evaluator, ...]
    why: dict[tuple[str, str], str]
    preset: tuple[Requirement, ...] = ()
    left_out: Mapping[str, str] = field(default_factory=dict)
    trackers: tuple[Tracker, ...] = ()

    @property
    def specs(
        self,
    ) -> tuple[Backend | Accelerator | Quantization | TuningMethod | Optimizer | Evaluator | Tracker, ...]:
        later: tuple[Evaluator | Tracker, ...] = (*self.evaluators, *self.trackers)
        return (self.backend, *self.accelerators, self.quantization, self.method, self.optimizer, *later)

    @property
    def attention(self) -> str:
        return next(a.attention for a in self.accelerators if a.attention)


def names(joined: str) -> tuple[str, ...]:
    """``a+b`` into names; ``UsageError`` on an empty or a repeated one."""
    found = tuple(part.strip() for part in joined.split("+"))
    if not all(found) or len(set(found)) != len(found):
        raise UsageError(f"'{joined}' is not a list of different names joined by '+'")
    return found


def select(settings: Settings, registry: Registry, facts: FamilyFacts) -> Selection:
    """Look every name up. A preset of backends stands for its backend and accelerators."""
    why: dict[tuple[str, str], str] = {}
    asked = registry.find("backend", settings["backend"])[1]
    automatic = settings["accelerator"] == AUTO
    wanted = {} if automatic else dict.fromkeys(names(settings["accelerator"]), settings.origins["accelerator"])
    if isinstance(asked, BackendPreset):
        kept = wanted if settings.asked("accelerator") else {}
        wanted = {**dict.fromkeys(asked.accelerators, f"preset {asked.name}"), **kept}
        automatic = False
        backend = registry.get(Backend, asked.backend)
        why["backend", backend.name] = f"preset {asked.name}"
    else:
        backend = registry.get(Backend, settings["backend"])
        why["backend", backend.name] = settings.origins["backend"]
    accelerators = [registry.get(Accelerator, name) for name in wanted]
    if not automatic and not any(a.attention for a in accelerators):
        known = (name for name in DEFAULT_ATTENTION if name in facts.attention_implementations)
        attention = next(known, DEFAULT_ATTENTION[0])
        accelerators.append(registry.get(Accelerator, attention))
        wanted[attention] = "default"
    why |= {("accelerator", a.name): w for a, w in zip(accelerators, wanted.values(), strict=True)}
    quantization = registry.get(Quantization, settings["quantization"])
    method = registry.get(TuningMethod, settings["method"])
    optimizer = registry.get(Optimizer, settings["optimizer"])
    evaluators = tuple(registry.get(Evaluator, name) for name in names(settings["evaluator"]))
    for spec in (quantization, method, optimizer, *evaluators):
        why[spec.kind, spec.name] = settings.origins[spec.kind]
    tracked = names(settings["track"]) if settings["track"] != NONE else ()
    trackers = tuple(registry.get(Tracker, name) for name in tracked)
    why |= {(spec.kind, spec.name): settings.origins["track"] for spec in trackers}
    return Selection(
        backend=backend,
        accelerators=tuple(accelerators),
        quantization=quantization,
        method=method,
        optimizer=optimizer,
        evaluators=evaluators,
        why=why,
        preset=asked.requires if isinstance(asked, BackendPreset) else (),
        trackers=trackers,
    )


def environment_of(chosen: Selection, registry: Registry) -> State | None:
    """The state of the backend's own environment; None where it runs in the base environment."""
    own = chosen.backend.environment
    return state_of(find(own.name, registry), registry) if own is not None else None


def parts(
    chosen: Selection,
    situation: Situation,
    environment: State | None,
    options: Mapping[str, Mapping[str, Any]],
    registry: Registry,
) -> tuple[Part, ...]:
    """The chosen plugins with what speaks against each, found out from facts; ``options`` are theirs, by kind."""
    found = []
    for spec in chosen.specs:
        plugin, _ = registry.find(spec.kind, spec.name)
        problems = [*_lacking(spec, chosen, environment), *unmet_devices(spec.requires, situation.probe)]
        if isinstance(spec, Backend):
            problems += unmet_devices(chosen.preset, situation.probe)
        if isinstance(spec, Accelerator):
            problems = list(against(spec, chosen, situation, environment))
        elif isinstance(spec, Tracker):
            problems += spec.check(own_options(spec, options)) if spec.check is not None else ()
        elif not isinstance(spec, Evaluator):
            problems += spec.supports(situation)
        elif spec.own_tasks:
            problems.append(
                "brings tasks of its own and scores no rows: leave it out here, and run it when the adapter is there: "
                f"graftlm eval TASKS --evaluator {spec.name} --adapter NAME"
            )
        elif spec.check is not None:
            problems += spec.check(options.get("evaluator", {}))
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


def against(spec: Accelerator, chosen: Selection, situation: Situation, environment: State | None) -> tuple[str, ...]:
    """What speaks against an accelerator among those that are chosen; last what an installation would mend."""
    return (
        *unmet_devices(spec.requires, situation.probe),
        *_unfit(spec, chosen.backend, situation),
        *spec.supports(situation),
        *contested(spec, chosen.accelerators),
        *_lacking(spec, chosen, environment),
    )


def _lacking(spec: Spec, chosen: Selection, environment: State | None) -> list[str]:
    """Packages. What takes part in training must be in the backend's environment; what is proved and scored with, in
    the base one.
    """
    own = isinstance(spec, Backend)
    requires = (*spec.requires, *(chosen.preset if own else ()))
    if environment is None:
        return missing(requires)
    attends = isinstance(spec, Accelerator) and spec.attention  # what is proved has the same attention
    needless = own or (isinstance(spec, Accelerator | Optimizer) and not attends)
    here = [] if needless else missing(requires)
    if environment.manifest is None or environment.kind != "ready":
        return [*here, *([environment.problem] if own else [])]
    if isinstance(spec, Evaluator | Tracker):
        return here
    line = f"graftlm envs create {environment.name} --with "
    if not isinstance(spec, Backend | Accelerator):  # their ranges are of the base; here the backend's own rule
        requires = tuple(replace(each, minimum="", below="") for each in requires)
    return [*here, *missing(requires, environment.manifest.version, line)]


def _unfit(spec: Accelerator, backend: Backend, situation: Situation) -> list[str]:
    found = []
    if spec.packs and not backend.packs:
        found.append(f"lays samples into one row without padding, which backend {backend.name} cannot train on")
    if spec.loss and not backend.losses:
        found.append(f"computes the loss, which backend {backend.name} does itself")
    if spec.loss and situation.label_smoothing and not spec.smooths:
        found.append("computes the loss without --label-smoothing: leave one of them out")
    return found


def contested(one: Accelerator, all_: Sequence[Accelerator]) -> list[str]:
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
