"""The Python API: the same values and the same words as the command line."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any, get_type_hints

from graftlm_registry.adapters import open_store
from graftlm_registry.plugins import registry
from graftlm_registry.runs import find_run
from graftlm_registry.suggestions import unknown

from .comparing.cells import cells_of
from .comparing.judged_suite import judged_suite
from .comparing.model import Report
from .comparing.report.files import write_report
from .comparing.resolving import planned
from .comparing.rounds import Untold, run_rounds
from .comparing.weighing import WEIGHTS
from .contracts.config import SETTINGS, RunConfig
from .contracts.errors import UsageError
from .contracts.outcome import Outcome
from .contracts.plan import Plan
from .planning.config_file import typed
from .planning.resolve import resolve
from .planning.settings import flag
from .running.answer import answer
from .running.merge import Merged
from .running.merge import merge as merge_adapter
from .running.repair import repair_plan
from .running.resuming import resume as resume_run
from .running.train import Trained, carry_out


def plan(**settings: Any) -> Plan:
    """What ``train`` with the same settings will do. Settings are the flags' names: ``plan(data=…, model=…)``."""
    return resolve(_config(settings), registry())


def train(**settings: Any) -> Outcome:
    """Train an adapter and publish it; ``outcome.adapter`` is its ``name@version``."""
    config = _config(settings)
    out = Path(config.out) if config.out else None
    return _told(carry_out(resolve(config, registry()), registry(), _warn, out=out))


def resume(run: str, *, other_stack: bool = False) -> Outcome:
    """Go on with a run that was stopped, failed or was killed, and publish its adapter. ``run`` is its name, a part of
    it that no other has, or ``last``; ``other_stack``: although packages or graftlm have changed since.
    """
    return _told(resume_run(find_run(run), registry(), _warn, any_stack=other_stack))


def generate(name: str, prompt: str, *, max_new_tokens: int = 256, **words: Any) -> str:
    """The greedy answer of an adapter or a model to one prompt. ``words``: ``system=`` text; for a model ``template=``
    and ``thinking=``, which an adapter's record knows.
    """
    return answer(name, [prompt], registry(), lambda event: None, max_new_tokens, **words)[0]


def merge(name: str, *, out: str | Path, dtype: str = "") -> Merged:
    """Write a whole model of an adapter and its base to a new folder; ``dtype`` is the trained one where empty."""
    return merge_adapter(name, Path(out), registry(), _warn, dtype=dtype)


def repair(name: str, *, skill: str | Path, ratio: float = 0.5, **settings: Any) -> Outcome:
    """A second round for what the adapter lost: its own data with the rows of ``skill`` mixed in."""
    said = _config(settings).said()
    plan = repair_plan(open_store().get(name), str(skill), registry(), ratio=ratio, **said)
    return _told(carry_out(plan, registry(), _warn))


def compare(
    data: str | Path,
    *,
    out: str | Path,
    weights: Mapping[str, float] | None = None,
    each_capability: bool = False,
    options: Mapping[str, Any] | None = None,
    **settings: Any,
) -> Report:
    """Train what a setting has several values for, as ``compare("data.jsonl", out="results", model=["a", "b"])``, and
    say what was learned and what it cost. What ``out`` has already is not trained again.
    """
    matrix = {name: _values(name, value) for name, value in settings.items() if value is not None}
    suite = judged_suite(
        str(data), matrix, weights or WEIGHTS, registry(), options=options, each_capability=each_capability
    )
    cells = [planned(cell, registry(), judges=True) for cell in cells_of(suite)]
    run_rounds(suite, cells, Path(out), registry(), Untold())
    return write_report(Path(out))[0]


def _told(trained: Trained) -> Outcome:
    """The outcome; what was forgotten beyond the limit is a warning, as the adapter is kept."""
    if trained.verdict is not None and not trained.verdict.passed:
        warnings.warn(trained.verdict.said, stacklevel=3)
    return trained.outcome


def _warn(event: Mapping[str, Any]) -> None:
    if event["event"] == "warning":
        warnings.warn(event["message"], stacklevel=2)


def _values(name: str, value: Any) -> tuple[Any, ...]:
    """One value, or each of several, as the setting has it."""
    each = value if isinstance(value, list | tuple) else (value,)
    return tuple(getattr(_config({name: one}), name) for one in each)


def _config(settings: dict[str, Any]) -> RunConfig:
    for name in settings:
        if name not in SETTINGS and name != "options":
            raise UsageError(unknown("setting", name, SETTINGS))
    said = {name: str(v) if isinstance(v, Path) else v for name, v in settings.items() if v is not None}
    kinds = get_type_hints(RunConfig)
    return RunConfig(**{name: typed(flag(name), name, value, kinds[name]) for name, value in said.items()})
