"""The few words of Go's text/template that an Ollama TEMPLATE is made of, and what they give.

Ollama hands ``.System`` (all system texts, with an empty line between) and ``.Messages`` (all turns, system ones
too) to a template. Known are: ``if``, ``else if``, ``else``, ``end``, ``range $i, $m := .Messages``, fields, string and
number literals, and the functions ``eq ne le and not len slice``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

ACTION = re.compile(r"\{\{ (.*?) \}\}", re.DOTALL)
WORD = re.compile(r'"[^"]*"|[()]|[^\s()"]+')
RANGE = "range $i, $m := .Messages"

Node = Any
"""A text; ``("print", expression)``; ``("if", [(expression or None, nodes), …])``; ``("range", nodes)``."""


def render(template: str, turns: Sequence[tuple[str, str]]) -> str:
    """What Ollama makes of a conversation of roles and contents. ``ValueError`` where it knows a word not."""
    messages: list[dict[str, str]] = []
    for role, content in turns:
        if messages and messages[-1]["Role"] == role:
            messages[-1]["Content"] += f"\n\n{content}"
        else:
            messages.append({"Role": role, "Content": content})
    system = "\n\n".join(content for role, content in turns if role == "system")
    scope = {".": {"System": system, "Messages": messages}, "$": {"System": system, "Messages": messages}}
    return "".join(_written(_parsed(template), scope))


def _parsed(template: str) -> list[Node]:
    pieces = ACTION.split(template)
    if any("{{" in text or "}}" in text for text in pieces[::2]):
        raise ValueError("an action that is not written as {{ … }}")
    tokens = [(index % 2 == 1, piece) for index, piece in enumerate(pieces) if piece]
    nodes, rest = _list(tokens, 0)
    if rest != len(tokens):
        raise ValueError(f"nothing to end: {tokens[rest][1]}")
    return nodes


def _list(tokens: Sequence[tuple[bool, str]], at: int) -> tuple[list[Node], int]:
    """Nodes up to an ``else`` or an ``end`` of somebody else."""
    nodes: list[Node] = []
    while at < len(tokens):
        action, words = tokens[at]
        if not action:
            nodes.append(words)
            at += 1
        elif words == "end" or words.startswith("else"):
            break
        elif words == RANGE:
            inside, at = _list(tokens, at + 1)
            nodes.append(("range", inside))
            at = _past(tokens, at, "end")
        elif words.startswith("if "):
            node, at = _if(tokens, at)
            nodes.append(node)
        else:
            nodes.append(("print", _expression(words)))
            at += 1
    return nodes, at


def _if(tokens: Sequence[tuple[bool, str]], at: int) -> tuple[Node, int]:
    branches: list[tuple[Any, list[Node]]] = []
    words = tokens[at][1]
    while words != "end":
        condition = words.removeprefix("else").strip().removeprefix("if").strip()
        inside, at = _list(tokens, at + 1)
        branches.append((_expression(condition) if condition else None, inside))
        if at == len(tokens):
            raise ValueError("an 'if' without its 'end'")
        words = tokens[at][1]
    return ("if", branches), at + 1


def _past(tokens: Sequence[tuple[bool, str]], at: int, word: str) -> int:
    if at == len(tokens) or tokens[at][1] != word:
        raise ValueError(f"a 'range' without its '{word}'")
    return at + 1


def _expression(words: str) -> Any:
    """Nested lists of words."""
    stack: list[list[Any]] = [[]]
    for word in WORD.findall(words):
        if word == "(":
            stack.append([])
        elif word == ")":
            stack[-2].append(stack.pop())
        else:
            stack[-1].append(word)
    return stack[0]


def _written(nodes: Sequence[Node], scope: Mapping[str, Any]) -> Iterator[str]:
    for node in nodes:
        if isinstance(node, str):
            yield node
        elif node[0] == "print":
            yield str(_value(node[1], scope))
        elif node[0] == "range":
            for index, message in enumerate(scope["$"]["Messages"]):
                yield from _written(node[1], {**scope, ".": message, "$i": index, "$m": message})
        else:
            for condition, inside in node[1]:
                if condition is None or _value(condition, scope):
                    yield from _written(inside, scope)
                    break


def _value(words: Any, scope: Mapping[str, Any]) -> Any:
    if isinstance(words, str):
        return _word(words, scope)
    if len(words) == 1:
        return _value(words[0], scope)
    name, *given = words
    values = [_value(each, scope) for each in given]
    if name in ("eq", "ne", "le") and len(values) == 2:
        first, second = values
        return {"eq": first == second, "ne": first != second, "le": name == "le" and first <= second}[name]
    if name == "and":
        return next((value for value in values if not value), values[-1])
    if name == "not" and len(values) == 1:
        return not values[0]
    if name == "len" and len(values) == 1:
        return len(values[0])
    if name == "slice" and len(values) == 2:
        return values[0][values[1] :]
    raise ValueError(f"unknown: {name}")


def _word(word: str, scope: Mapping[str, Any]) -> Any:
    if word.startswith('"'):
        return word[1:-1]
    if word.isdigit():
        return int(word)
    if word in scope and word.startswith("$") and word != "$":
        return scope[word]
    if re.fullmatch(r"\$?\.[A-Z]\w*", word):
        return scope["$" if word.startswith("$") else "."][word.rpartition(".")[2]]
    raise ValueError(f"unknown: {word}")
