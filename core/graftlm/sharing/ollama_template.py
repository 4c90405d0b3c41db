"""An Ollama TEMPLATE that writes what a prompt template of graftlm writes, or none.

It is read off the prompt template's own renderings, and then compared with it on conversations of every shape.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import takewhile

from graftlm.contracts.conversation import Conversation, Message, RenderOptions
from graftlm.contracts.errors import GraftlmError
from graftlm.contracts.specs import PromptTemplate

from . import go_template

Turns = Sequence[tuple[str, str]]
S, U1, U2, U3 = ("system", "Sss."), ("user", "Uuu?"), ("user", "Vvv!"), ("user", "Www")
A1, A2 = ("assistant", "Aaa."), ("assistant", "Bbb")
LONG = ("user", "Two lines:\n\n- one, {two}\n- <three> & \"four\" 'five'\t#6")
CHECKED: tuple[Turns, ...] = (
    (U1,), (LONG,), (S, U1), (S, LONG), (U1, A1, U2), (S, U1, A1, U2), (U1, A1, U2, A2, U3), (S, U1, A1, U2, A2, U3),
    (U1, A1, LONG), (("system", "One.\n\nTwo."), U1, A1, U2),
)  # fmt: skip
LAST = "le (len (slice $.Messages $i)) 1"
LAST_USER = "le (len (slice $.Messages $i)) 2"
"""Of a user's turn: no other one follows, since turns of one role are one turn."""


@dataclass(frozen=True, slots=True)
class Parts:
    """What stands around the words. ``start`` is the first token, which Ollama's own tokenizer writes. ``head`` stands
    where there is no system text. ``system_at``: the system text has a turn of its own, or is in the first or last
    user's.
    """

    start: str
    head: str
    before_system: str
    after_system: str
    system_at: str
    before_user: str
    after_user: str
    before_answer: str
    after_answer: str
    prompt: str


def ollama_template(template: PromptTemplate, *, thinking: bool) -> tuple[str, str] | None:
    """The TEMPLATE, and the first token that stands before it; None where no TEMPLATE is exact."""

    def ours(turns: Turns) -> str:
        options = RenderOptions(generation_prompt=True, thinking=thinking)
        spans = template.render(Conversation(tuple(Message(role, words) for role, words in turns)), options)  # type: ignore[arg-type]
        return "".join(span.text for span in spans)

    try:
        for parts in _candidates(ours, template.document_start[0] if len(template.document_start) == 1 else ""):
            text = _written(parts)
            if all(parts.start + go_template.render(text, turns) == ours(turns) for turns in CHECKED):
                return text, parts.start
    except (GraftlmError, ValueError):
        pass  # it refuses one of these conversations, or its words are such as Go's templates are made of
    return None


def _candidates(ours: Callable[[Turns], str], start: str) -> Iterator[Parts]:
    """Ways to cut the renderings into parts."""
    first, ask = _cut(ours((U1,)), U1)
    _, middle, between, again = _cut(ours((U1, A1, U2)), U1, A1, U2)
    before_system, after_system, _ = _cut(ours((S, U1)), S, U1)
    if again != ask:
        return
    start = start if first.startswith(start) else ""
    before_user = _common_suffix(first.removeprefix(start), between)
    after_user = _common_prefix(middle, ask)
    common = {
        "start": start,
        "head": first.removeprefix(start).removesuffix(before_user),
        "before_user": before_user,
        "after_user": after_user,
        "before_answer": middle.removeprefix(after_user),
        "after_answer": between.removesuffix(before_user),
        "prompt": ask.removeprefix(after_user),
    }
    before_system = before_system.removeprefix(start)
    if after_system.endswith(before_user):
        own = after_system.removesuffix(before_user)
        yield Parts(**common, before_system=before_system, after_system=own, system_at="turn")
    inside = before_system.removeprefix(common["head"]).removeprefix(before_user)
    for place in ("first", "last"):
        yield Parts(**common, before_system=inside, after_system=after_system, system_at=place)


def _cut(text: str, *turns: tuple[str, str]) -> list[str]:
    """What stands before, between and after the words of turns; ``ValueError`` where they are not there in order."""
    parts = []
    for _, words in turns:
        before, found, text = text.partition(words)
        if not found:
            raise ValueError(f"{words} is not in the rendering")
        parts.append(before)
    return [*parts, text]


def _common_suffix(one: str, other: str) -> str:
    return _common_prefix(one[::-1], other[::-1])[::-1]


def _common_prefix(one: str, other: str) -> str:
    same = takewhile(lambda pair: pair[0] == pair[1], zip(one, other, strict=False))
    return "".join(character for character, _ in same)


def _written(parts: Parts) -> str:
    """``ValueError`` where a part has what Go's templates are made of."""
    if any(mark in str(getattr(parts, name)) for name in Parts.__slots__ for mark in ("{{", "}}", '"""')):
        raise ValueError("braces in the template")
    system = f"{parts.before_system}{{{{ $.System }}}}{parts.after_system}"
    top, inside = parts.head, ""
    if parts.system_at == "turn":
        top = f"{{{{ if .System }}}}{system}{_else(parts.head)}{{{{ end }}}}"
    else:
        place = "le $i 1" if parts.system_at == "first" else LAST_USER
        inside = f"{{{{ if and $.System ({place}) }}}}{system}{{{{ end }}}}"
    user = f"{parts.before_user}{inside}{{{{ .Content }}}}{parts.after_user}"
    ended = f"{{{{ if not ({LAST}) }}}}{parts.after_answer}{{{{ end }}}}"
    prompt = f'{{{{ if and ({LAST}) (ne .Role "assistant") }}}}{parts.prompt}{{{{ end }}}}' if parts.prompt else ""
    return (
        f"{top}{{{{ {go_template.RANGE} }}}}"
        f'{{{{ if eq .Role "user" }}}}{user}'
        f'{{{{ else if eq .Role "assistant" }}}}{parts.before_answer}{{{{ .Content }}}}{ended}'
        f"{{{{ end }}}}{prompt}{{{{ end }}}}"
    )


def _else(head: str) -> str:
    return f"{{{{ else }}}}{head}" if head else ""
