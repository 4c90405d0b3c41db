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

SETTINGS = ("rank", "alpha", "dropout", "target_modules")
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
    if wanted in GROUPS:
        found = {"attention": facts.attention, "mlp": facts.mlp, "all-linear": facts.attention + facts.mlp}[wanted]
        if not found:
            why = facts.untargeted_reason or "this architecture has no such linear layers"
            raise UsageError(f"--target-modules {wanted}: {why}")
        return found
    known = facts.attention + facts.mlp
    names = tuple(part.strip() for part in wanted.split(","))
    for name in names:
        if name in facts.untargeted:
            raise UsageError(f"--target-modules {name}: {facts.untargeted_reason}")
        if name not in known:
            raise UsageError(unknown("target module", name, (*known, *GROUPS)))
    return tuple(dict.fromkeys(names))
