"""What a plugin says: of itself, of its options, of what it requires, and why it cannot take part."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from copy import deepcopy
from typing import Any

from graftlm.contracts.spec import Option, Spec

from .situations import situations

LONGEST = 100
"""Characters of a summary: it stands in a table."""
NAME = re.compile(r"[a-z][a-zA-Z0-9_]*")
RELEASE = re.compile(r"\d+(\.\d+)*")
TYPES: Mapping[str, type | tuple[type, ...]] = {
    "int": int, "float": (int, float), "str": str, "path": str, "bool": bool, "list": tuple, "ints": tuple,
    "mapping": Mapping,
}  # fmt: skip


def is_sentence(reason: object) -> bool:
    """Whether a reason is text with words in it, which is all that can be asked of it here."""
    return isinstance(reason, str) and any(map(str.isalpha, reason)) and "Traceback" not in reason


def check_summary(spec: Spec) -> None:
    said, who = spec.summary, f"{spec.kind} '{spec.name}'"
    assert is_sentence(said), f"the summary of {who} says nothing: {said!r}"
    assert len(said.splitlines()) == 1, f"the summary of {who} has more than one line"
    assert said == said.strip() and not said.endswith("."), f"the summary of {who} ends in blanks or a full stop"
    assert len(said) <= LONGEST, f"the summary of {who} has {len(said)} characters, and a table has room for {LONGEST}"


def check_options(spec: Spec) -> None:
    names = [option.name for option in spec.options]
    twice = sorted({name for name in names if names.count(name) > 1})
    assert not twice, f"{spec.kind} '{spec.name}' declares the option {', '.join(twice)} twice"
    for option in spec.options:
        where = f"--set {spec.kind}.{option.name}"
        assert NAME.fullmatch(option.name), f"{where}: the name is not letters, digits and '_'"
        assert is_sentence(option.help), f"{where} has no help"
        _check_default(option, where)


def _check_default(option: Option, where: str) -> None:
    default: Any = option.default
    if default is None:
        return
    right = isinstance(default, TYPES[option.type]) and (option.type == "bool" or not isinstance(default, bool))
    assert right, f"{where} is of type {option.type}, and its default is {default!r}"
    given = default if isinstance(default, tuple) else (default,)
    unknown = [each for each in given if option.choices and str(each) not in option.choices]
    assert not unknown, f"{where}: the default {default!r} is none of its choices ({', '.join(option.choices)})"
    numbers = [each for each in given if isinstance(each, int | float) and not isinstance(each, bool)]
    outside = [
        each
        for each in numbers
        if (option.minimum is not None and each < option.minimum)
        or (option.maximum is not None and each > option.maximum)
    ]
    assert not outside, f"{where}: the default {default!r} is not within {option.minimum} and {option.maximum}"


def check_requirements(spec: Spec) -> None:
    for needed in spec.requires:
        who = f"a requirement of {spec.kind} '{spec.name}'"
        assert needed.distribution or needed.device, f"{who} names neither a distribution nor a device"
        for release in (needed.minimum, needed.below):
            assert not release or RELEASE.fullmatch(release), f"{who}: {release!r} is no release such as 0.21"


def check_reasons(spec: Spec) -> None:
    """Of its predicates, in situations of every kind."""
    for name in ("supports", "notes"):
        ask = getattr(spec, name, None)
        if ask is None:
            continue
        for about, asked in situations().items():
            who = f"{name} of {spec.kind} '{spec.name}', asked about {about},"
            before = deepcopy(asked)
            try:
                reasons = ask(asked)
            except Exception as error:
                raise AssertionError(f"{who} raises {type(error).__name__}: {error}") from error
            listed = isinstance(reasons, Sequence) and not isinstance(reasons, str | bytes)
            assert listed, f"{who} must give a sequence of reasons (an empty one for yes), and gave {reasons!r}"
            wrong = [reason for reason in reasons if not is_sentence(reason)]
            assert not wrong, f"{who} gave {wrong[0]!r}, which is no sentence"
            assert asked == before, f"{who} changed what it was asked about"
