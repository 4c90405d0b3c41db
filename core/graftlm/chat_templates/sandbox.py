"""The Jinja environment of chat templates; only the child (``process.py``) imports it, after it has shut itself in.

It is what transformers renders with: an immutable sandbox, trimmed blocks, loop controls, and a few names. Where a
``{% generation %}`` block stands in the output is carried by the strings themselves (``Marked``), so that no words of
a conversation can look like such a place.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any

from jinja2 import Template, nodes
from jinja2.exceptions import SecurityError, TemplateError
from jinja2.ext import Extension
from jinja2.ext import loopcontrols as LoopControls
from jinja2.parser import Parser
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.utils import Namespace

from .limits import LONGEST

Mark = tuple[int, int, int]
"""Serial number of a ``{% generation %}`` block, and its half-open range in the string that carries it."""


class Refused(TemplateError):
    """The template called ``raise_exception``."""


class TooLong(Exception):
    """The output passed its limit."""


class Marked(str):
    """Text that knows where ``{% generation %}`` blocks stand in it. What is computed from it is plain text again."""

    __slots__ = ("_marks",)
    _marks: tuple[Mark, ...]

    def __new__(cls, text: str, marks: tuple[Mark, ...] = ()) -> Marked:
        self = super().__new__(cls, text)
        self._marks = marks
        return self

    def __str__(self) -> str:
        return self


def join(pieces: Iterable[str]) -> str:
    """``"".join`` that keeps the marks."""
    found, marks, length = list(pieces), [], 0
    for piece in found:
        marks += [(n, length + begin, length + end) for n, begin, end in getattr(piece, "_marks", ())]
        length += len(piece)
    text = "".join(found)
    return Marked(text, tuple(marks)) if marks else text


class Generation(Extension):
    """``{% generation %}…{% endgeneration %}``: what the model writes."""

    tags = {"generation"}  # noqa: RUF012 - as jinja2 declares it
    blocks = 0

    def parse(self, parser: Parser) -> nodes.Node:
        line = next(parser.stream).lineno
        body = parser.parse_statements(("name:endgeneration",), drop_needle=True)
        return nodes.CallBlock(self.call_method("_mark"), [], [], body).set_lineno(line)

    def _mark(self, caller: Any) -> str:
        self.blocks += 1
        number, text = self.blocks, caller()
        return Marked(text, ((number, 0, len(text)), *getattr(text, "_marks", ())))


class Names(Namespace):
    """Jinja's namespace, without names that reach into Python."""

    def __init__(*args: Any, **kwargs: Any) -> None:
        self, given = args[0], dict(*args[1:], **kwargs)
        for name in given:
            _check(name)
        Namespace.__init__(self, given)

    def __setitem__(self, name: str, value: Any) -> None:
        _check(name)
        super().__setitem__(name, value)


class ChatEnvironment(ImmutableSandboxedEnvironment):
    concat = staticmethod(join)  # what generated code calls for macros and {% set %} blocks


def environment() -> ChatEnvironment:
    """An environment with the names that chat templates use, but for ``strftime_now``: see ``clock``."""
    made = ChatEnvironment(trim_blocks=True, lstrip_blocks=True, extensions=[Generation, LoopControls])
    made.filters["tojson"] = _to_json
    del made.globals["lipsum"]
    made.globals.update(
        raise_exception=_refuse,
        dict=lambda *args, **kwargs: dict(*args, **kwargs),
        namespace=Names,
    )
    return made


def clock(today: str) -> Callable[[str], str]:
    """What ``strftime_now`` is on a day (ISO 8601): its first moment, so that one day has one rendering."""
    midnight = datetime.fromisoformat(today)
    return lambda form: midnight.strftime(form)


def render(template: Template, variables: Mapping[str, Any]) -> tuple[str, list[tuple[int, int]]]:
    """The text, and the ranges of ``{% generation %}`` blocks: none at all where one of them cannot be placed (its
    text went through a filter, was dropped, or was written twice).
    """
    extension: Any = template.environment.extensions[Generation.identifier]
    extension.blocks = 0
    pieces: list[str] = []
    length = 0
    for piece in template.generate(variables):
        pieces.append(piece)
        length += len(piece)
        if length > LONGEST:
            raise TooLong
    text = join(pieces)
    marks = getattr(text, "_marks", ())
    if sorted(number for number, _, _ in marks) != list(range(1, extension.blocks + 1)):
        return text, []
    ranges: list[tuple[int, int]] = []
    for begin, end in sorted(((b, e) for _, b, e in marks if b < e), key=lambda r: (r[0], -r[1])):
        if not ranges or begin >= ranges[-1][1]:  # an inner block is part of the outer one
            ranges.append((begin, end))
    return text, ranges


def _check(name: object) -> None:
    if isinstance(name, str) and name.startswith("_"):
        raise SecurityError(f"a namespace may not hold {name!r}")


def _refuse(message: object = "") -> None:
    raise Refused(str(message))


def _to_json(
    value: Any,
    ensure_ascii: bool = False,
    indent: int | str | None = None,
    separators: tuple[str, str] | None = None,
    sort_keys: bool = False,
) -> str:
    """JSON without Jinja's HTML escapes."""
    return json.dumps(value, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)
