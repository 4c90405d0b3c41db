"""The page of ``graftlm.api``: everything in it but the specs, which stand on the page of hooks."""

from __future__ import annotations

import inspect
import sys
from typing import Any

from graftlm import api
from graftlm.contracts.spec import Spec
from reference.classes import fields_table, methods, signature
from reference.markdown import MADE, prose, python

HEADINGS = {
    "spec": "Options and requirements",
    "specs": "Parts of specs",
    "conversation": "Conversations and spans",
    "template_model": "A template's model",
    "model": "Models and facts",
    "model_files": "Files of a model",
    "situation": "What a predicate is given",
    "load": "How a base is loaded",
    "plan": "Plans",
    "services": "In the worker",
    "combining": "Combinations",
    "evaluating": "Evaluation",
    "tracking": "Tracking",
    "errors": "Errors",
}
"""By module of ``graftlm.contracts``, in the order of the page."""
BEGIN = """\
What `graftlm.api` exports, but for the specs themselves, which stand on the page of [hooks](../hooks.md). A plugin
imports nothing else of graftlm: what it needs of a run is handed to it, as a value or as an object of one of the
protocols below.
"""


def api_page() -> str:
    """The whole of it."""
    parts = [MADE.format(source="core/graftlm/api.py and core/graftlm/contracts"), f"# All of graftlm.api\n\n{BEGIN}"]
    for module, heading in HEADINGS.items():
        names = [name for name in api.__all__ if _home(name) == module and not _is_spec(getattr(api, name))]
        said = prose(sys.modules[f"graftlm.contracts.{module}"].__doc__)
        parts.append(f"\n## {heading}\n\n{said}\n")
        parts += [_entry(name, getattr(api, name)) for name in sorted(names, key=_place)]
    return "".join(parts)


def told() -> set[str]:
    """The names that stand on the page, or on that of hooks."""
    return {name for name in api.__all__ if _is_spec(getattr(api, name)) or _home(name) in HEADINGS}


def _is_spec(thing: Any) -> bool:
    return isinstance(thing, type) and issubclass(thing, Spec)


ALIASES = {"Record": "specs", "Role": "conversation", "hookimpl": "spec"}
"""What does not know where it was defined."""


def _home(name: str) -> str:
    found = ALIASES.get(name) or str(getattr(api, name).__module__)
    return found.rpartition(".")[2]


def _place(name: str) -> int:
    """Where it is defined in its module; what has no place comes first."""
    try:
        return inspect.getsourcelines(getattr(api, name))[1]
    except TypeError:
        return 0


def _entry(name: str, thing: Any) -> str:
    if isinstance(thing, type):
        return f"\n### {name}\n\n{prose(thing.__doc__)}\n{fields_table(thing)}{methods(thing)}"
    if inspect.isfunction(thing):
        return f"\n### {name}\n\n{python(signature(thing))}\n{prose(thing.__doc__)}\n"
    return f"\n### {name}\n\n{_alias(name, thing)}\n"


def _alias(name: str, thing: Any) -> str:
    if name == "hookimpl":
        return "The decorator that marks a plugin's function as one of the [hooks](../hooks.md)."
    return f"`{str(thing).removeprefix('typing.')}`"
