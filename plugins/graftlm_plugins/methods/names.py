"""Names and numbers in a method's options, held against the model's paths before anything is loaded."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from graftlm.api import RunError

from .coverage import check_patterns, check_saved, covered, ends_with, near

if TYPE_CHECKING:
    from graftlm.api import FamilyFacts, MethodPlan

LONGEST = 200
"""Characters of a regular expression: longer ones are no names of modules, and may take for ever to match."""


def misnamed(method: MethodPlan, facts: FamilyFacts) -> Sequence[str]:
    """Reasons against the names, patterns and numbers in the options of an adapter's method.

    Where the family gives no paths, names that patterns and lists hold are left to the worker.
    """
    found = [*_numbers(method, facts), *_expressions(method)]
    modules, tensors = paths_of(facts)
    if found or not modules:
        return found
    try:
        _check_names(method, modules, tensors)
    except RunError as error:
        return (str(error),)
    return ()


def paths_of(facts: FamilyFacts) -> tuple[list[str], list[str]]:
    """Paths of the modules and of the tensors that the family says the model has; empty where it says nothing.

    Where layers differ from one another, each is taken to have what any of them has.
    """
    numbers = range(facts.shape.layers if facts.shape else 0)
    modules: dict[str, None] = {}
    tensors = []
    for pattern in facts.modules if numbers else ():
        for path in dict.fromkeys(pattern.replace(".*.", f".{i}.") for i in numbers):
            module, colon, tensor = path.partition(":")
            parts = module.split(".")
            modules |= dict.fromkeys(".".join(parts[:i]) for i in range(1, len(parts) + 1))
            tensors += [f"{module}.{tensor}"] if colon else [f"{module}.weight", f"{module}.bias"]
    return list(modules), tensors


def unknown_modules(names: Sequence[str], facts: FamilyFacts) -> Iterator[str]:
    """Which of the names stand for no module with weights."""
    modules, _ = paths_of(facts)
    for name in names:
        if modules and not any(ends_with(path, name) for path in modules):
            yield f"modules: {name} matches no module of this model that has weights{near(name, modules)}"


def _numbers(method: MethodPlan, facts: FamilyFacts) -> Iterator[str]:
    """Layers and tokens that the model does not have."""
    if facts.shape is None:
        return
    limits = {"layers_to_transform": ("layer", facts.shape.layers)}
    limits |= dict.fromkeys(("token_indices", "trainable_token_indices"), ("token", facts.shape.vocabulary))
    for option, (what, count) in limits.items():
        beyond = [number for number in method.options.get(option) or () if number >= count]
        if beyond:
            yield f"{option} names {what} {beyond[0]}, and this model has {count:,} {what}s, 0 to {count - 1:,}"


def _expressions(method: MethodPlan) -> Iterator[str]:
    """Keys that are no regular expressions, or too long for one."""
    for option, mapping in method.options.items():
        for key in mapping if option.endswith("_pattern") and isinstance(mapping, Mapping) else ():
            if len(key) > LONGEST:
                yield f"{option}: {key[:20]}… has {len(key)} characters, and {LONGEST} are the most"
                continue
            try:
                re.compile(rf"(.*\.)?({key})$")
            except re.error as error:
                yield f"{option}: {key} is neither a name nor a regular expression: {error.msg}"
    for name in method.options.get("layers_pattern") or ():
        if not re.fullmatch(r"\w+(\.\w+)*", name):
            yield f"layers_pattern: {name} is no name of a list of layers, such as layers"


def _check_names(method: MethodPlan, modules: list[str], tensors: list[str]) -> None:
    """``RunError``, as the worker would raise it, on the first name that matches nothing."""
    options = method.options
    for name in options.get("layers_pattern") or ():
        lists = sorted({path.rpartition(".")[0] for path in modules if path.rpartition(".")[2].isdecimal()})
        if not any(ends_with(path, name) for path in lists):
            raise RunError(f"layers_pattern: {name} is no list of layers here, which is {', '.join(lists)}")
    targets = method.target_modules or options.get("target_modules") or ()
    found = covered(modules, targets, options) if targets else set()
    for name in options.get("feedforward_modules") or ():
        if name not in targets:
            raise RunError(f"feedforward_modules: {name} is none of the targets{near(name, targets)}")
    for name in options.get("target_parameters") or ():
        mine = {path for path in tensors if ends_with(path, name)}
        if not mine:
            more = (
                near(name, tensors) if any(".experts." in path for path in tensors) else ", which has no fused experts"
            )
            raise RunError(f"target_parameters: {name} matches no tensor of this model{more}")
        found |= mine
    if found:
        check_patterns(found, options)
    saved = options.get("modules_to_save") or ()
    check_saved(modules, saved, [path for path in modules if path.endswith(tuple(saved))])
