"""Lineage, drawn: each version with what it comes from below it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import click

from graftlm.running.score_words import number
from graftlm_registry.adapters.lineage import Node

from ..terminal import visible

NOTE = 70
"""Characters of a note that are shown."""


def draw(graph: Mapping[str, Node], wanted: Sequence[str]) -> Iterator[str]:
    """Lines. A version that was drawn already is named, and not drawn again."""
    drawn: set[str] = set()
    for reference in wanted:
        if reference not in drawn:
            yield from _tree(graph, reference, drawn)


def _tree(graph: Mapping[str, Node], root: str, drawn: set[str]) -> Iterator[str]:
    """With a stack of its own: a lineage can be longer than Python's."""
    todo = [(root, "", "")]
    while todo:
        reference, head, below = todo.pop()
        node = graph[reference]
        if reference in drawn:
            yield f"{head}{reference} (see above)"
            continue
        drawn.add(reference)
        yield head + _line(node)
        for text in node.notes:
            yield f"{below}{'│ ' if node.parents else '  '} “{_first_line(text)}”"
        last = len(node.parents) - 1
        children = [
            (parent, below + ("└─ " if i == last else "├─ "), below + ("   " if i == last else "│  "))
            for i, parent in enumerate(node.parents)
        ]
        todo += reversed(children)


def _first_line(text: str) -> str:
    """Of a note, and no more of it than fits beside the tree."""
    whole = text.strip()
    line = visible((whole.splitlines() or [""])[0].expandtabs(1))
    return line if line == visible(whole) and len(line) <= NOTE else f"{line[:NOTE].rstrip()}…"


def _line(node: Node) -> str:
    parts = [click.style(node.reference, bold=True)]
    if node.tags:
        parts.append(f"[{', '.join(node.tags)}]")
    if node.state != "kept":
        parts.append(f"({node.state})")
    its = node.summary
    if its is not None:
        parts.append(its.created[:16].replace("T", " "))
        how = its.method if its.origin == "trained" else f"{its.origin} {its.method}"
        parts.append(f"{how} on {its.base}")
        if its.after is not None:
            before = "?" if its.before is None else number(its.before, its.unit)
            parts.append(f"{before} → {number(its.after, its.unit)}")
        if its.forgot:
            parts.append(f"{its.forgot} lost")
    return "  ".join(parts)
