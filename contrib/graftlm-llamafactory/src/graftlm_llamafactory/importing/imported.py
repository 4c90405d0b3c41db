"""What came of an import: the settings of a run, and where each key of the file went."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

Settings = dict[str, Any]


@dataclass(slots=True, kw_only=True)
class Imported:
    """``settings`` are graftlm's, keys as its YAML has them. Each key of the input is in exactly one of ``taken``,
    which says what became of it, and ``left``, which says why there is no counterpart, or what to do instead.
    ``defaults`` are settings that the file left to LLaMA-Factory's own; ``remarks`` say what differs all the same.
    """

    settings: Settings = field(default_factory=dict)
    taken: dict[str, str] = field(default_factory=dict)
    left: dict[str, str] = field(default_factory=dict)
    defaults: list[str] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)

    def option(self, kind: str, name: str, value: Any) -> None:
        """An option of a plugin, as ``method`` or ``quantization``."""
        self.settings.setdefault("options", {}).setdefault(kind, {})[name] = value


class Keys:
    """The input, key by key. A rule looks at a value, and says where its key goes: the last word counts."""

    def __init__(self, content: Mapping[str, Any], result: Imported) -> None:
        self.content, self.result = content, result

    def __contains__(self, key: str) -> bool:
        return self.content.get(key) is not None

    def get(self, key: str, default: Any = None) -> Any:
        value = self.content.get(key)
        return default if value is None else value

    def number(self, key: str, default: float, *, whole: bool = False, least: float = 0, above: bool = False) -> float:
        """A number of the file, in range; the default, with the key left, where it is none."""
        given = self.get(key)
        if given is None:
            return default
        try:  # YAML 1.1 reads 1e-4 as text
            value = float(given) if not isinstance(given, bool) else float("nan")
        except (TypeError, ValueError):
            value = float("nan")
        fits = value > least if above else value >= least
        if not fits or value > 2**31 - 1 or (whole and not value.is_integer()):
            kind = "a whole number" if whole else "a number"
            self.leave(key, f"{given!r} is not {kind} {'above' if above else 'from'} {least:g}{' on' * (not above)}")
            return default
        return int(value) if whole else value

    def true(self, key: str, default: bool = False) -> bool:
        """A switch of the file; the default, with the key left, where it is none."""
        given = self.get(key, default)
        if isinstance(given, bool):
            return given
        self.leave(key, f"{given!r} is neither true nor false")
        return default

    def text(self, key: str, default: str = "") -> str:
        return str(self.get(key, default)).strip()

    def take(self, key: str, what: str) -> None:
        if key in self and key not in self.result.left:
            self.result.taken[key] = what

    def leave(self, key: str, why: str) -> None:
        if key in self:
            self.result.taken.pop(key, None)
            self.result.left[key] = why

    def set(self, setting: str, value: Any, *keys: str) -> None:
        """A setting of graftlm's, out of these keys of the file; a default where the file has none of them."""
        self.result.settings[setting] = value
        used = [key for key in keys if key in self and key not in self.result.left]
        for key in used:
            self.take(key, setting)
        if not used:
            self.result.defaults.append(setting)
