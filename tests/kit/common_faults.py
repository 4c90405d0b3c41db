"""Faults that any kind of plugin can have, made from its example's own text."""

from __future__ import annotations

import re
from collections.abc import Iterator

from broken import Fault, texts


def common_faults(kind: str, built_in: str, *, suffix: str = "") -> Iterator[Fault]:
    """``built_in`` is a plugin of the kind that comes with graftlm, or empty where there is none; ``suffix`` is what
    the attribute of the suite has behind the kind (``accelerators``).
    """
    plugin, conformance = (texts(kind)[name] for name in ("__init__.py", "conformance.py"))
    its_name, named = 'name="acme"', _found(rf"\b{kind}{suffix} = .*", conformance)
    there, says = "test_it_is_there_by_its_own_name", "test_what_it_says_of_itself_is_whole"
    yield Fault("another name", {its_name: 'name="acne"'}, there, ("unknown", "'acme'", "acne"))
    yield Fault("no name", {its_name: 'name="Acme & Co"'}, there, ("Acme & Co", "is not lower-case letters"))
    if built_in:
        taken = {its_name: f'name="{built_in}"', named: named.replace("acme", built_in)}
        yield Fault("a built-in one's name", taken, there, ("is provided by graftlm", "graftlm-acme (acme)"))
    heavy = ("loading acme imports", "torch")
    yield Fault("heavy", {"": "\nimport torch\n"}, "test_nothing_heavy_is_imported_at_registration", heavy)
    summary = _found(r'summary="[^"]*"', plugin)
    yield Fault("no summary", {summary: 'summary=""'}, says, ("the summary of", "'acme'", "says nothing"))
    yield Fault("a summary of two lines", {summary: r'summary="one\ntwo"'}, says, ("has more than one line",))
    if target := re.search(r'target="([^":]+:)[^"]+"', plugin):
        lost = {target[0]: f'target="{target[1]}nowhere"'}
        yield Fault("no such target", lost, "test_what_it_names_is_there", ("nowhere", "is not there"))
    if option := re.search(r'(type="(\w+)", default=)[^,]+,', plugin):
        wrong = "3" if option[2] in ("str", "path") else '"much"'
        yield Fault("a wrong default", {option[0]: f"{option[1]}{wrong},"}, says, ("--set", f"is of type {option[2]}"))


def _found(pattern: str, text: str) -> str:
    found = re.search(pattern, text)
    assert found, f"{pattern} is not in the example"
    return found[0]
