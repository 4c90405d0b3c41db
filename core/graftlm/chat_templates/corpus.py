"""Conversations on which templates are compared: each is there for a rule that templates differ in."""

from __future__ import annotations

from dataclasses import dataclass

Turns = tuple[tuple[str, str], ...]
ASKED = (True, False)
"""A conversation that ends with a question is rendered with a generation prompt and without."""
SAID = (False,)


@dataclass(frozen=True, slots=True)
class Case:
    """``turns`` are role and content; ``prompts`` whether to ask for a generation prompt. ``odd`` cases are such as few
    data have, and in which even two releases of one model's own template differ.
    """

    name: str
    turns: Turns
    prompts: tuple[bool, ...] = SAID
    odd: bool = False


def _thought(thought: str, said: str) -> str:
    return f"<think>\n{thought}\n</think>\n\n{said}"


SYSTEM = ("system", "You are terse.")
Q1, Q2, Q3 = ("user", "What is 2 + 2?"), ("user", "And 3 + 3?"), ("user", "Thank you.")
A1, A2, A3 = ("assistant", "4"), ("assistant", "6, of course."), ("assistant", "You are welcome.")
T1, T2 = ("assistant", _thought("Two and two.", "4")), ("assistant", _thought("Three,\n\ntwice.", "6"))

CORPUS = (
    Case("a question", (Q1,), ASKED),
    Case("a system text and a question", (SYSTEM, Q1), ASKED),
    Case("an answer", (Q1, A1)),
    Case("a system text and an answer", (SYSTEM, Q1, A1)),
    Case("two questions", (Q1, A1, Q2), ASKED),
    Case("a system text and two questions", (SYSTEM, Q1, A1, Q2), ASKED),
    Case("two answers", (Q1, A1, Q2, A2)),
    Case("a system text and three answers", (SYSTEM, Q1, A1, Q2, A2, Q3, A3)),
    Case("white space around a question", (("user", "  two\r\nlines,\n\nand more \n"),), ASKED, odd=True),
    Case("white space around an answer", (Q1, ("assistant", "\n four\n\n "), Q2, ("assistant", " 6\n")), odd=True),
    Case("white space around a system text", (("system", "\nBe terse. \n"), Q1), ASKED, odd=True),
    Case("a thought", (Q1, T1)),
    Case("a thought in an earlier turn", (Q1, T1, Q2), ASKED),
    Case("two thoughts", (Q1, T1, Q2, T2)),
    Case("an empty thought", (Q1, ("assistant", _thought("", "4")))),
)
