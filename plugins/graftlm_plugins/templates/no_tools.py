"""Templates that have no form for tools say so, whoever calls them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import wraps
from typing import Concatenate, ParamSpec

from graftlm.api import Conversation, DataError, Span

P = ParamSpec("P")
Render = Callable[Concatenate[Conversation, P], Sequence[Span]]


def without_tools(render: Render[P]) -> Render[P]:
    """The same, with a ``DataError`` where a conversation offers tools, calls one, or holds a tool's answer."""

    @wraps(render)
    def refusing(conversation: Conversation, /, *args: P.args, **kwargs: P.kwargs) -> Sequence[Span]:
        if conversation.uses_tools:
            raise DataError("it has tools, and this template has no form for them: choose a --template that has")
        return render(conversation, *args, **kwargs)

    return refusing
