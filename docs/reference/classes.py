"""A class of graftlm's contracts as a section of a page: its prose, its fields, its methods."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

from reference.markdown import prose, python, table


@dataclass(frozen=True)
class Field:
    """``meaning`` is the docstring below it; most fields are told of in that of their class."""

    name: str
    type: str
    default: str
    meaning: str


def fields(kind: type, *, of_class: bool = False) -> list[Field]:
    """Of the class itself, without those that it inherits; class variables where they are asked for."""
    found = []
    body = _node(kind).body
    for node, after in zip(body, [*body[1:], None], strict=True):
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            type_ = ast.unparse(node.annotation)
            if type_.startswith("ClassVar[") and of_class:
                type_ = type_.removeprefix("ClassVar[").removesuffix("]")
            if not type_.startswith("ClassVar"):
                found.append(Field(node.target.id, _plain(type_), _default(node.value), prose(_text(after))))
    return found


def fields_table(kind: type) -> str:
    """Empty where there are none."""
    found = fields(kind)
    protocol = getattr(kind, "_is_protocol", False)
    header = ["field", "type", *([] if protocol else ["default"])]
    told = any(field.meaning for field in found)
    rows = [
        [f"`{f.name}`", f"`{f.type}`", *([] if protocol else [f.default]), *([f.meaning] if told else [])]
        for f in found
    ]
    return "\n" + table([*header, *([""] if told else [])], rows) if found else ""


def methods(kind: type) -> str:
    """Signatures and what they say of themselves."""
    parts = []
    for node in _node(kind).body:
        if isinstance(node, ast.FunctionDef) and (not node.name.startswith("_") or node.name == "__call__"):
            is_property = any(ast.unparse(mark) == "property" for mark in node.decorator_list)
            returns = f" -> {_plain(ast.unparse(node.returns))}" if node.returns else ""
            head = (
                f"{node.name}:{returns[3:]}" if is_property else f"def {node.name}({ast.unparse(node.args)}){returns}"
            )
            parts.append(f"\n{python(head)}\n{prose(ast.get_docstring(node))}".rstrip() + "\n")
    return "".join(parts)


def signature(function: Any) -> str:
    """Of a function, without its body."""
    node = _parsed(inspect.getmodule(function))[function.__name__]
    assert isinstance(node, ast.FunctionDef)
    returns = f" -> {ast.unparse(node.returns)}" if node.returns else ""
    return f"def {node.name}({ast.unparse(node.args)}){returns}"


def told_of(kind: type) -> str:
    """Everything that the class says of its fields."""
    return " ".join([kind.__doc__ or "", *(field.meaning for field in fields(kind))])


def _node(kind: type) -> ast.ClassDef:
    node = _parsed(inspect.getmodule(kind))[kind.__name__]
    assert isinstance(node, ast.ClassDef)
    return node


@cache
def _parsed(module: Any) -> dict[str, ast.stmt]:
    return dict(_named(ast.parse(inspect.getsource(module))))


def _named(tree: ast.Module) -> Iterator[tuple[str, ast.stmt]]:
    for node in tree.body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef):
            yield node.name, node


def _text(node: ast.stmt | None) -> str:
    is_text = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
    return node.value.value if is_text else ""  # type: ignore[union-attr]


def _plain(type_: str) -> str:
    return type_.replace("'", '"')


def _default(value: ast.expr | None) -> str:
    """``field(default_factory=dict)`` is a ``{}``."""
    if value is None:
        return "required"
    written = ast.unparse(value).replace("'", '"')
    made = {"dict": "{}", "list": "[]", "tuple": "()"}
    for factory, empty in made.items():
        written = written.replace(f"field(default_factory={factory})", empty)
    return f"`{written}`"
