"""The page of hooks: what a plugin can give, with signature, example, spec and stages."""

from __future__ import annotations

import doctest
import inspect
import re
from collections.abc import Mapping
from typing import get_type_hints

from graftlm import api, hookspecs
from graftlm.contracts.spec import Spec
from graftlm.contracts.stages import STAGES
from graftlm_registry.discovery import GROUP, HOOKS, KIND_OF_HOOK
from reference.classes import fields_table, methods, signature, told_of
from reference.markdown import MADE, anchor, prose, python, table

BEGIN = f"""\
A plugin is a module of a distribution of its own, named by an entry point of the group `{GROUP}`. All that it needs of
graftlm stands in `graftlm.api` ([all of it](plugins/api.md)). How to write one from nothing is told in
[Write a plugin](plugins/index.md).
"""


def hooks_page() -> str:
    """The whole of it."""
    parts = [
        MADE.format(source="core/graftlm/hookspecs.py and core/graftlm/contracts"),
        f"# Hooks\n\n{prose(hookspecs.__doc__)}\n\n{BEGIN}\n",
        _overview(),
        f"\n## Spec\n\n{prose(Spec.__doc__)}\n{fields_table(Spec)}\nEvery spec below has these too.\n",
    ]
    for heading, hooks in _groups().items():
        parts.append(f"\n## {heading}\n")
        parts += [_hook(hook) for hook in hooks]
    return "".join(parts)


def specs_of(hook: str) -> tuple[type[Spec], ...]:
    """The classes that a hook gives."""
    (given,) = get_type_hints(getattr(hookspecs, hook))["return"].__args__
    return tuple(getattr(given, "__args__", (given,)))


def _overview() -> str:
    rows = [
        (f"[`{hook}`](#{anchor(hook)})", f"`{KIND_OF_HOOK[hook]}`", prose(getattr(hookspecs, hook).__doc__))
        for hook in HOOKS
    ]
    return table(("hook", "kind", "what it is for"), rows)


def _groups() -> Mapping[str, list[str]]:
    """Hooks by the heading that they stand under in their module."""
    found: dict[str, list[str]] = {}
    for line in inspect.getsource(hookspecs).splitlines():
        if match := re.match(r"# (.+)", line):
            found[match[1]] = []
        elif match := re.match(r"def (graftlm_\w+)", line):
            found[next(reversed(found))].append(match[1])
    assert tuple(hook for hooks in found.values() for hook in hooks) == HOOKS
    return found


def _hook(hook: str) -> str:
    function = getattr(hookspecs, hook)
    (example,) = doctest.DocTestParser().get_examples(inspect.getdoc(function) or "")
    parts = [
        f"\n### {hook}\n\n{prose(function.__doc__)}\n\n{python(signature(function))}",
        f"\nAn example:\n\n{python(example.source.rstrip())}",
        *(_spec(kind) for kind in specs_of(hook)),
    ]
    if any(kind.__name__ == "Accelerator" for kind in specs_of(hook)):
        rows = [(f"`{stage}`", when) for stage, when in STAGES.items()]
        parts.append(
            "\n#### The stages of an accelerator\n\nIn this order. Within a stage the accelerators' patches are "
            "entered in the order of the plan. All are left, the last one first, before what was trained is kept and "
            "proved.\n\n" + table(("stage", "when"), rows)
        )
    return "".join(parts)


def _spec(kind: type[Spec]) -> str:
    return f"\n#### {kind.__name__}\n\n{prose(kind.__doc__)}\n{fields_table(kind)}{methods(kind)}{_see(kind)}"


def _see(kind: type[Spec]) -> str:
    """What of the API it speaks of."""
    text = told_of(kind) + fields_table(kind)
    others = [other for other in api.__all__ if re.search(rf"\b{other}\b", text) and other[0].isupper()]
    links = [
        f"[{other}](plugins/api.md#{anchor(other)})"
        for other in others
        if not (isinstance(getattr(api, other), type) and issubclass(getattr(api, other), Spec))
    ]
    return f"\nSee {', '.join(links)}.\n" if links else ""
