"""What a data set's README says of its subsets and splits, in its front matter (``configs: data_files``)."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from graftlm.contracts.errors import DataError

FRONT_MATTER = re.compile(r"\ufeff?---[ \t]*\r?\n(.*?)\r?\n---[ \t]*(?:\r?\n|$)", re.DOTALL)
ODD = (ValueError, LookupError, TypeError, AttributeError, RecursionError)
"""What a YAML reader raises, besides its own errors, for a value that is not what its tag says or nested too deeply."""
LONGEST_PATTERN = 500
"""Characters."""
WILD = re.compile(r"((?<![^/])\*\*/|\*\*|\*|\?|\[!?[^\]]+\])")
ACROSS = {"**/": "(?:.*?/)??", "**": ".*?"}
"""Folders, and anything."""


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
    except (yaml.YAMLError, *ODD):
        raise DataError(f"the front matter of {here}'s README is no YAML: name a file, as in {here}/FILE") from None
    configs = content.get("configs") if isinstance(content, dict) else None
    try:
        return [_subset(config) for config in _list(configs) if isinstance(config, dict)]
    except DataError as error:
        raise DataError(f"{here}'s README holds {error}: name a file, as in {here}/FILE") from None


def _list(configs: Any) -> list[Any]:
    if not isinstance(configs, list | None):
        raise DataError("'configs' that are no list")
    return configs or []


def default_subset(described: Sequence[Subset]) -> Subset | None:
    """The one that is meant where none is named."""
    if len(described) == 1:
        return described[0]
    marked = [subset for subset in described if subset.default] or [s for s in described if s.name == "default"]
    return marked[0] if marked else None


def _subset(config: Mapping[Any, Any]) -> Subset:
    """``DataError`` with what is there and should not be."""
    folder = _word(config.get("data_dir"), "").removeprefix("./").strip("/")
    splits: dict[str, tuple[str, ...]] = {}
    files = config.get("data_files")
    given = files.items() if isinstance(files, dict) else _entries(files)
    for named, patterns in given:
        split = _word(named, "train")
        below = tuple(f"{folder}/{pattern}" if folder else pattern for pattern in _strings(patterns))
        splits[split] = (*splits.get(split, ()), *below)
    return Subset(_word(config.get("config_name"), "default"), config.get("default") is True, folder, splits)


def _word(value: Any, unsaid: str) -> str:
    """A name, which YAML may take for a number or a date."""
    try:
        word = unsaid if value is None or value == "" else str(value)
    except ValueError:  # a number of thousands of digits
        word = "\n"
    if isinstance(value, list | dict | set | bytes) or not word.isprintable():
        raise DataError(f"a value of type {type(value).__name__} that is no name")
    return word


def _entries(files: Any) -> list[tuple[Any, Any]]:
    """Of a pattern or a list: each entry is a pattern of ``train``, or names its split."""
    entries = files if isinstance(files, list) else [files] if files else []
    return [(entry.get("split"), entry.get("path")) if isinstance(entry, dict) else (None, entry) for entry in entries]


def _strings(patterns: Any) -> list[str]:
    found = patterns if isinstance(patterns, list) else [patterns]
    return [_word(pattern, "").removeprefix("./") for pattern in found if isinstance(pattern, str)]


def matching(pattern: str, name: str) -> bool:
    """Whether a pattern of the hub (``*`` within a folder, ``**`` across folders) or a folder names this file.

    ``DataError`` where the pattern cannot be read.
    """
    return name.startswith(f"{pattern.rstrip('/')}/") or _compiled(pattern).fullmatch(name) is not None


@lru_cache(maxsize=256)
def _compiled(pattern: str) -> re.Pattern[str]:
    """A star takes as little as lets what follows it match, up to the next star of its kind: no name matches only with
    more. So nothing but the last stars is ever tried again, and no pattern is slow.
    """
    if len(pattern) > LONGEST_PATTERN:
        raise DataError(f"a pattern of more than {LONGEST_PATTERN} characters ({pattern[:40]}…): name a file")
    pieces = WILD.split(pattern)
    across = max((i for i, piece in enumerate(pieces) if piece in ACROSS), default=-1)
    within = max((i for i, piece in enumerate(pieces) if piece == "*"), default=-1)
    translated, outer, inner = "", "", ""  # the brackets that are still to be closed
    for i, piece in enumerate(pieces):
        if i % 2 == 0:
            translated += re.escape(piece)
        elif piece in ACROSS:
            translated += inner + outer + ("(?:" if i == across else "(?>") + ACROSS[piece]
            outer, inner = ")", ""
        elif piece == "*":
            translated += inner + ("(?:" if i == within > across else "(?>") + "[^/]*?"
            inner = ")"
        else:
            translated += "[^/]" if piece == "?" else _class(piece)
    try:
        return re.compile(translated + inner + outer, re.DOTALL)
    except re.error:
        raise DataError(f"the pattern {pattern} has brackets without a meaning, as [z-a]: name a file") from None


def _class(piece: str) -> str:
    negated = piece[1] == "!"
    inside = re.sub(r"([\\\[\]^&~|])", r"\\\1", piece[2 if negated else 1 : -1])
    return f"(?!/)[{'^' if negated else ''}{inside}]"
