"""What a spec names by ``module:attribute`` is there."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib import import_module
from typing import Any

from graftlm.contracts.spec import Spec
from graftlm.planning.requirements import missing

from .gaps import skip_unless


def named_targets(spec: Spec) -> Iterator[tuple[str, str]]:
    """The field, or the stage, and the target that it names."""
    for field in ("target", "loss"):
        if named := getattr(spec, field, ""):
            yield field, named
    patches: Mapping[str, str] = getattr(spec, "patches", {})
    yield from ((f"patch of the stage '{stage}'", named) for stage, named in patches.items())


def check_targets(spec: Spec) -> None:
    for field, named in named_targets(spec):
        where = f"the {field} of {spec.kind} '{spec.name}', {named!r},"
        module, colon, attribute = named.partition(":")
        assert module and colon and attribute, f"{where} is not of the form module:attribute"
    lacks = missing(spec.requires)
    skip_unless(not lacks, "; ".join(lacks))
    skip_unless(getattr(spec, "environment", None) is None, "it works in an environment of its own")
    for field, named in named_targets(spec):
        where = f"the {field} of {spec.kind} '{spec.name}', {named!r},"
        try:
            found = find_target(named)
        except AttributeError as error:
            raise AssertionError(f"{where} is not there: {error}") from error
        except Exception as error:
            raise AssertionError(f"{where} cannot be imported: {type(error).__name__}: {error}") from error
        assert callable(found), f"{where} cannot be called: it is {found!r}"


def find_target(named: str) -> Any:
    """What ``module:attribute`` names; raises whatever importing it raises."""
    module, _, attribute = named.partition(":")
    return getattr(import_module(module), attribute)
