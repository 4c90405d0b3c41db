"""Lineage, drawn: each version with what it comes from below it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import click

from graftlm.running.score_words import number
from graftlm_registry.adapters.lineage import Node

from ..terminal import visible


def draw(graph: Mapping[str, Node], wanted: Sequence[str]) -> Iterator[str]:
    """Lines. A version that was drawn already is named, and not drawn again."""
    drawn: set[str] = set()
    for reference in wanted:
        if reference not in drawn:
            yield from _node(graph, reference, "", "", drawn)


def _node(graph: Mapping[str, Node], reference: str, head: str, below: str, drawn: set[str]) -> Iterator[str]:
    node = graph[reference]
    again = reference in drawn
    drawn.add(reference)
    yield head + (f"{reference} (see above)" if again else _line(node))
    if again:
        return
    for text in node.notes:
        yield f"{below}{'│ ' if node.parents else '  '} “{visible(text)}”"
    for i, parent in enumerate(node.parents):
        last = i == len(node.parents) - 1
        yield from _node(graph, parent, below + ("└─ " if last else "├─ "), below + ("   " if last else "│  "), drawn)


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
