"""What a data set's README says of its subsets and splits, in its front matter (``configs: data_files``)."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from graftlm.contracts.errors import DataError

FRONT_MATTER = re.compile(r"\ufeff?---[ \t]*\r?\n(.*?)\r?\n---[ \t]*(?:\r?\n|$)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Subset:
    """``splits`` gives each split's patterns; where it is empty, names below ``folder`` tell the splits."""

    name: str
    default: bool
    folder: str
    splits: Mapping[str, tuple[str, ...]]


def subsets(card: str, here: str) -> list[Subset]:
    """The subsets that a README describes; ``here`` names the data set in an error."""
    match = FRONT_MATTER.match(card)
    if match is None:
        return []
    import yaml

    try:
        content = yaml.safe_load(match[1])
    except (yaml.YAMLError, ValueError):
        raise DataError(f"the front matter of {here}'s README is no YAML: name a file, as in {here}/FILE") from None
    configs = content.get("configs") if isinstance(content, dict) else None
    return [_subset(config) for config in configs or () if isinstance(config, dict)]


def default_subset(described: Sequence[Subset]) -> Subset | None:
    """The one that is meant where none is named."""
    if len(described) == 1:
        return described[0]
    marked = [subset for subset in described if subset.default] or [s for s in described if s.name == "default"]
    return marked[0] if marked else None


def _subset(config: Mapping[str, Any]) -> Subset:
    folder = str(config.get("data_dir") or "").removeprefix("./").strip("/")
    splits: dict[str, tuple[str, ...]] = {}
    files = config.get("data_files")
    given = files.items() if isinstance(files, dict) else _entries(files)
    for split, patterns in given:
        below = tuple(f"{folder}/{pattern}" if folder else pattern for pattern in _strings(patterns))
        splits[split] = (*splits.get(split, ()), *below)
    return Subset(str(config.get("config_name") or "default"), config.get("default") is True, folder, splits)


def _entries(files: Any) -> list[tuple[str, Any]]:
    """Of a pattern or a list: each entry is a pattern of ``train``, or names its split."""
    entries = files if isinstance(files, list) else [files] if files else []
    return [
        (str(entry.get("split") or "train"), entry.get("path")) if isinstance(entry, dict) else ("train", entry)
        for entry in entries
    ]


def _strings(patterns: Any) -> list[str]:
    found = patterns if isinstance(patterns, list) else [patterns]
    return [pattern.removeprefix("./") for pattern in found if isinstance(pattern, str)]


def matching(pattern: str, name: str) -> bool:
    """Whether a pattern of the hub (``*`` within a folder, ``**`` across folders) or a folder names this file."""
    return name.startswith(f"{pattern.rstrip('/')}/") or _compiled(pattern).fullmatch(name) is not None


@lru_cache(maxsize=256)
def _compiled(pattern: str) -> re.Pattern[str]:
    pieces = re.split(r"(\*\*/|\*\*|\*|\?|\[!?[^\]]+\])", pattern)
    wild = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}
    translated = ""
    for i, piece in enumerate(pieces):
        if i % 2 == 0:
            translated += re.escape(piece)
        else:
            translated += wild.get(piece) or _class(piece)
    return re.compile(translated, re.DOTALL)


def _class(piece: str) -> str:
    negated = piece[1] == "!"
    inside = re.sub(r"([\\\[\]^&~|])", r"\\\1", piece[2 if negated else 1 : -1])
    return f"[{'^' if negated else ''}{inside}]"
