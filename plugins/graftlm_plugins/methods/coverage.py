"""Which modules a list of targets means, counted before and after PEFT attaches.

PEFT is content when a part of a list matches, and rewrites the targets of some mixtures of experts; here every name
must match, and what is adapted must be what was asked.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from graftlm.api import RunError

FIRST_INDEX = re.compile(r".*?\.[^.]*\.(\d+)\.")


def ends_with(path: str, name: str) -> bool:
    """Whether ``name`` is the last part, or the last parts, of a module's path."""
    return path == name or path.endswith(f".{name}")


def covered(paths: Sequence[str], targets: Iterable[str], options: Mapping[str, Any]) -> set[str]:
    """The modules among ``paths`` that ``targets`` mean, after ``exclude_modules``, ``modules_to_save``,
    ``layers_to_transform`` and ``layers_pattern``.

    Raises ``RunError`` where a target, an exclusion or a layer's number matches nothing.
    """
    left_out = _excluded(paths, options.get("exclude_modules") or ())
    saved = {path for path in paths if any(_within(path, name) for name in options.get("modules_to_save") or ())}
    layers, pattern = options.get("layers_to_transform") or (), options.get("layers_pattern") or ()
    found: set[str] = set()
    for target in targets:
        named = [path for path in paths if ends_with(path, target)]
        if not named:
            raise RunError(f"target module {target} matches nothing in this model{near(target, paths)}")
        in_layers = [path for path in named if not layers or layer_of(path, pattern) in layers]
        mine = [path for path in in_layers if path not in left_out and path not in saved]
        if not mine:
            raise RunError(
                f"every {target} is left out by exclude_modules, modules_to_save or layers_to_transform: "
                "leave it out of the targets too, or the setting that excludes it"
            )
        found.update(mine)
    absent = sorted(set(layers) - {layer_of(path, pattern) for path in found})
    if absent:
        raise RunError(
            f"layers_to_transform names layer {absent[0]}, and no target is in such a layer (they begin at 0)"
        )
    return found


def layer_of(path: str, pattern: str | Sequence[str] = ()) -> int | None:
    """The number of the layer that a module is in: the first number of its path, or the one behind a ``pattern``."""
    patterns = (pattern,) if isinstance(pattern, str) else tuple(pattern)
    if not patterns:
        match = FIRST_INDEX.match(path)
        return int(match[1]) if match else None
    for name in patterns:
        match = re.match(rf"(?:^|.*?\.){re.escape(name)}\.(\d+)\.", path)
        if match:
            return int(match[1])
    return None


def check_patterns(found: Iterable[str], options: Mapping[str, Any]) -> None:
    """``RunError`` where a key of a mapping from modules to ranks, alphas or the like matches no adapted module."""
    paths = sorted(found)
    for option, mapping in options.items():
        if not (option.endswith("_pattern") and isinstance(mapping, Mapping)):
            continue
        for key in mapping:
            if not any(re.match(rf"(.*\.)?({key})$", path) for path in paths):
                raise RunError(f"{option}: {key} matches none of the adapted modules{near(key, paths)}")


def check_saved(paths: Sequence[str], names: Iterable[str], wrapped: Iterable[str]) -> None:
    """``RunError`` where a name of ``modules_to_save`` matches nothing, or PEFT took more than it (``norm`` would be
    ``input_layernorm`` too).
    """
    wanted: set[str] = set()
    for name in names:
        mine = {path for path in paths if ends_with(path, name)}
        if not mine:
            raise RunError(f"modules_to_save: {name} matches nothing in this model{near(name, paths)}")
        wanted |= mine
    taken = set(wrapped)
    more, lacking = sorted(taken - wanted), sorted(wanted - taken)
    if more:
        raise RunError(f"modules_to_save would take {more[0]} too: give whole paths, such as {min(wanted, default='')}")
    if lacking:
        raise RunError(f"modules_to_save: PEFT leaves {lacking[0]} as it is")


def check_adapted(wanted: set[str], adapted: set[str]) -> None:
    """``RunError`` where what is adapted is not what was asked."""
    more, lacking = sorted(adapted - wanted), sorted(wanted - adapted)
    if not more and not lacking:
        return
    said = [f"{len(lacking)} of {len(wanted)} targets are not adapted, such as {lacking[0]}"] if lacking else []
    said += [f"{len(more)} modules are adapted that were not asked for, such as {more[0]}"] if more else []
    raise RunError(
        f"{', and '.join(said)}: PEFT rewrites some targets of mixtures of experts; target attention alone, or name "
        "the experts' tensors by method.target_parameters"
    )


def _excluded(paths: Sequence[str], names: Iterable[str]) -> set[str]:
    found: set[str] = set()
    for name in names:
        mine = {path for path in paths if ends_with(path, name)}
        if not mine:
            raise RunError(f"exclude_modules: {name} matches nothing in this model{near(name, paths)}")
        found |= mine
    return found


def _within(path: str, name: str) -> bool:
    """Whether a module is one that is saved whole, or a part of it."""
    return re.match(rf"(^|.*\.){re.escape(name)}($|\..*)", path) is not None


def near(name: str, paths: Iterable[str]) -> str:
    """What ends a sentence: the nearest name, or the nearest path where the name is the end of one, or the names that
    there are.
    """
    from difflib import get_close_matches  # not needed where nothing is wrong

    last = sorted({path.rpartition(".")[2] for path in paths})
    own = name.rpartition(".")[2]
    found = get_close_matches(name, paths, 1) if own in last else get_close_matches(own, last, 1)
    if found:
        return f"; did you mean {found[0]}?"
    return f"; there are {', '.join(part for part in last if not part.isdecimal())}"
