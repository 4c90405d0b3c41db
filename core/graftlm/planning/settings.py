"""Layers of settings become one: what was asked, what the model suggests, what is the default."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from graftlm.contracts.config import EXCLUSIVE, SETTINGS, RunConfig
from graftlm.contracts.errors import UsageError
from graftlm_registry.suggestions import unknown


def flag(name: str) -> str:
    return f"--{name.replace('_', '-')}"


@dataclass(frozen=True, slots=True)
class Settings:
    """Resolved settings by name, and where each is from: ``asked``, ``default``, who suggested it
    (``model``, ``method``, ``parent``), or ``auto``, where it was chosen for this run."""

    values: Mapping[str, Any]
    origins: Mapping[str, str]

    def __getitem__(self, name: str) -> Any:
        return self.values[name]

    def asked(self, name: str) -> bool:
        return self.origins[name] == "asked"

    def with_value(self, name: str, value: Any) -> Settings:
        """The same, what was asked put into other words."""
        return Settings({**self.values, name: value}, self.origins)

    def with_default(self, name: str, value: Any) -> Settings:
        """The same, with another default than usual."""
        return Settings({**self.values, name: value}, {**self.origins, name: "default"})

    def with_chosen(self, found: Mapping[str, Any]) -> Settings:
        """The same, with what nobody gave and was found out."""
        return Settings({**self.values, **found}, {**self.origins, **dict.fromkeys(found, "auto")})


def settle(config: RunConfig, suggestions: Mapping[str, Mapping[str, Any]]) -> Settings:
    """``suggestions`` are values by setting name, by who suggests them, the strongest first; asking for epochs or steps
    puts a suggested duration aside.
    """
    check(config)
    said = config.said()
    timed = ("epochs", "max_steps") if "epochs" in said or "max_steps" in said else ()
    values: dict[str, Any] = {}
    origins: dict[str, str] = {}
    for name, metadata in SETTINGS.items():
        who = next((who for who, theirs in suggestions.items() if name in theirs and name not in timed), None)
        if name in said:
            values[name], origins[name] = said[name], "asked"
        elif who is not None:
            values[name], origins[name] = suggestions[who][name], who
        else:
            values[name], origins[name] = metadata["default"], "default"
    return Settings(values, origins)


def check(config: RunConfig) -> None:
    """Types, ranges, and settings that exclude each other; ``UsageError`` names the flag."""
    for name, value in config.said().items():
        if name != "options":
            _in_range(flag(name), value, SETTINGS[name])
    for one, other in EXCLUSIVE:
        if getattr(config, one) is not None and getattr(config, other) is not None:
            raise UsageError(f"{flag(one)} and {flag(other)} exclude each other: give one of them")


def _in_range(what: str, value: Any, limits: Mapping[str, Any]) -> None:
    if isinstance(value, str) and value in limits.get("words", ()):
        return
    if isinstance(value, float) and not math.isfinite(value):
        raise UsageError(f"{what} is {value}, and must be a finite number")
    if limits.get("choices") and value not in limits["choices"]:
        raise UsageError(f"{what}: {unknown('value', str(value), limits['choices'])}")
    least, most, above = (limits.get(name) for name in ("minimum", "maximum", "above"))
    if least is not None and value < least:
        raise UsageError(f"{what} is {value}, and must be at least {least}")
    if most is not None and value > most:
        raise UsageError(f"{what} is {value}, and must be at most {most}")
    if above is not None and value <= above:
        raise UsageError(f"{what} is {value}, and must be more than {above}")
