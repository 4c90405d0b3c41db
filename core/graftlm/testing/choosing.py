"""The suite that judges a plugin: its own, or what can be asked without one."""

from __future__ import annotations

from graftlm.contracts.errors import PluginError
from graftlm.contracts.spec import Spec

from .accelerators import AcceleratorSuite
from .backends import BackendSuite
from .commands import CommandSuite
from .evaluators import EvaluatorSuite
from .families import FamilySuite
from .formats import FormatSuite
from .methods import MethodSuite
from .optimizers import OptimizerSuite
from .quantizations import QuantizationSuite
from .sources import SourceSuite
from .suite import Suite
from .targets import find_target
from .templates import TemplateSuite
from .trackers import TrackerSuite

SUITES: tuple[type[Suite], ...] = (
    FormatSuite, TemplateSuite, SourceSuite, FamilySuite, QuantizationSuite, AcceleratorSuite, MethodSuite,
    OptimizerSuite, BackendSuite, EvaluatorSuite, TrackerSuite, CommandSuite,
)  # fmt: skip


def suite_of(spec: Spec) -> tuple[type[Suite], str]:
    """The class, and what stays unasked for want of a suite of its own (or nothing)."""
    if spec.suite:
        return _its_own(spec), ""
    general = next((suite for suite in SUITES if suite.kind == spec.kind), Suite)
    lacking = general.lacking()
    if general is not Suite and not lacking:
        return general.of(spec.kind, spec.name), ""
    asked = f"a {general.__name__} with {' and '.join(lacking)}" if lacking else "a suite"
    return Suite.of(spec.kind, spec.name), f"{asked}, named by the spec's 'suite', would ask more of it"


def _its_own(spec: Spec) -> type[Suite]:
    who = f"the suite of {spec.kind} '{spec.name}', {spec.suite!r},"
    try:
        found = find_target(spec.suite)
    except Exception as error:
        raise PluginError(f"{who} cannot be had: {error}") from error
    if not (isinstance(found, type) and issubclass(found, Suite)):
        raise PluginError(f"{who} is {found!r}, and no subclass of a suite of graftlm.testing")
    if found.kind != spec.kind or spec.name not in found().names:
        named = f"{found.kind} {' and '.join(map(repr, found().names))}" if found.kind else "no kind of plugin"
        raise PluginError(f"{who} judges {named}")
    if lacking := found.lacking():
        raise PluginError(f"{who} does not say {' and '.join(lacking)}")
    return found
