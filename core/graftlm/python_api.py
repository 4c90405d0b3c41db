"""The Python API: the same values and the same words as the command line."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any, get_type_hints

from graftlm_registry.plugins import registry
from graftlm_registry.suggestions import unknown

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
from .running.train import carry_out


def plan(**settings: Any) -> Plan:
    """What ``train`` with the same settings will do. Settings are the flags' names: ``plan(data=…, model=…)``."""
    return resolve(_config(settings), registry())


def train(**settings: Any) -> Outcome:
    """Train an adapter and publish it; ``outcome.adapter`` is its ``name@version``."""
    config = _config(settings)
    out = Path(config.out) if config.out else None
    return carry_out(resolve(config, registry()), registry(), _warn, out=out).outcome


def generate(name: str, prompt: str, *, max_new_tokens: int = 256, **words: Any) -> str:
    """The greedy answer of an adapter or a model to one prompt. ``words``: ``system=`` text; for a model ``template=``
    and ``thinking=``, which an adapter's record knows.
    """
    return answer(name, [prompt], registry(), lambda event: None, max_new_tokens, **words)[0]


def merge(name: str, *, out: str | Path, dtype: str = "") -> Merged:
    """Write a whole model of an adapter and its base to a new folder; ``dtype`` is the trained one where empty."""
    return merge_adapter(name, Path(out), registry(), _warn, dtype=dtype)


def _warn(event: Mapping[str, Any]) -> None:
    if event["event"] == "warning":
        warnings.warn(event["message"], stacklevel=2)


def _config(settings: dict[str, Any]) -> RunConfig:
    for name in settings:
        if name not in SETTINGS and name != "options":
            raise UsageError(unknown("setting", name, SETTINGS))
    said = {name: str(v) if isinstance(v, Path) else v for name, v in settings.items() if v is not None}
    kinds = get_type_hints(RunConfig)
    return RunConfig(**{name: typed(flag(name), name, value, kinds[name]) for name, value in said.items()})
