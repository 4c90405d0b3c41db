"""What the tuning method is told: targets, rank, alpha, dropout and its own options."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from graftlm.contracts.config import AUTO
from graftlm.contracts.errors import UsageError
from graftlm.contracts.model import FamilyFacts
from graftlm.contracts.plan import MethodPlan
from graftlm.contracts.record import AdapterRecord
from graftlm.contracts.specs import TuningMethod
from graftlm_registry.suggestions import unknown

from .settings import Settings, flag

SETTINGS = ("rank", "alpha", "dropout", "target_modules", "loraplus_ratio")
"""Settings that not every method has."""
GROUPS = ("attention", "mlp", "all-linear")


def method_plan(
    method: TuningMethod,
    settings: Settings,
    facts: FamilyFacts,
    options: Mapping[str, Any],
    parent: AdapterRecord | None,
) -> MethodPlan:
    """``UsageError`` on a setting that the method does not have, a target that the model lacks, or options that do not
    go together.
    """
    for name in SETTINGS:
        if settings.asked(name) and name not in method.settings:
            raise UsageError(f"{flag(name)}: method {method.name} has no such setting: leave it out")
    has = {name: settings[name] for name in ("rank", "alpha", "dropout") if name in method.settings}
    plan = MethodPlan(
        name=method.name,
        keeps=method.keeps,
        target_modules=targets(settings["target_modules"], facts) if "target_modules" in method.settings else (),
        options=options,
        parent=parent.reference if parent else "",
        parent_digest=parent.digest if parent else "",
        **has,
    )
    for reason in method.check(plan, facts) if method.check else ():
        raise UsageError(f"method {method.name}: {reason}")
    return plan


def targets(wanted: str, facts: FamilyFacts) -> tuple[str, ...]:
    """Module names of a group, or those that were named, each of which the architecture must have."""
    if wanted == AUTO:
        return facts.default_targets or facts.attention
    return tuple(dict.fromkeys(name for part in wanted.split(",") for name in _meant(part.strip(), facts)))


def _meant(part: str, facts: FamilyFacts) -> tuple[str, ...]:
    """One part of the list: a group, or a name."""
    known, last = facts.attention + facts.mlp, part.rpartition(".")[2]
    if part in known:
        return (part,)
    if part in GROUPS:
        found = {"attention": facts.attention, "mlp": facts.mlp, "all-linear": known}[part]
        if not found:
            why = facts.untargeted_reason or "this architecture has no such linear layers"
            raise UsageError(f"--target-modules {part}: {why}")
        return found
    if part in facts.untargeted:
        raise UsageError(f"--target-modules {part}: {facts.untargeted_reason}")
    if last in known:
        layer = next((step for step in part.split(".") if step.isdecimal()), "")
        more = f", and --set method.layers_to_transform={layer} for that layer alone" if layer else ""
        raise UsageError(f"--target-modules {part}: names are the last parts of paths: give {last}{more}")
    whole = next((path for path in facts.modules if path.rpartition(".")[2] == last), "")
    if whole:
        name = last if "*" in whole else whole
        raise UsageError(
            f"--target-modules {part}: no adapter goes onto it; --set method.modules_to_save={name} trains it whole"
        )
    raise UsageError(unknown("target module", part, (*known, *GROUPS)))
