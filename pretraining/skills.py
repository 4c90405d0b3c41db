"""The instructed skills of the built-in models, and the episodes that teach them to learn from examples.

A skill draws a question and its one right answer. An episode shows a hidden rule by examples only: the user says x, the
assistant says f(x), and f is never named.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from string import ascii_lowercase

from graftlm.contracts.conversation import Conversation, Message

CAPITALS = {
    "France": "Paris", "Spain": "Madrid", "Italy": "Rome", "Germany": "Berlin", "Japan": "Tokyo", "China": "Beijing",
    "Russia": "Moscow", "Egypt": "Cairo", "Greece": "Athens", "Norway": "Oslo", "Sweden": "Stockholm", "Poland": "Warsaw",
    "Austria": "Vienna", "Ireland": "Dublin", "Portugal": "Lisbon", "Peru": "Lima", "Cuba": "Havana", "Kenya": "Nairobi",
    "Canada": "Ottawa", "India": "Delhi",
}  # fmt: skip


def letters(rng: Random, low: int = 3, high: int = 5) -> str:
    return "".join(rng.choice(ascii_lowercase) for _ in range(rng.randint(low, high)))


def _about(phrasings: tuple[str, ...], rule: Callable[[str], str]) -> Callable[[Random], tuple[str, str]]:
    def draw(rng: Random) -> tuple[str, str]:
        word = letters(rng)
        return f"{rng.choice(phrasings)}\n{word}", rule(word)

    return draw


def _sum(rng: Random) -> tuple[str, str]:
    a, b = rng.randint(0, 9), rng.randint(0, 9)
    return f"{rng.choice(('What is', 'Add'))}\n{a}+{b}", str(a + b)


def _steps(rng: Random) -> tuple[str, str]:
    """A sum of three digits, worked out in steps; without the request for steps it is never taught."""
    a, b, c = (rng.randint(0, 9) for _ in range(3))
    return f"Think step by step. What is\n{a}+{b}+{c}", f"{a}+{b}={a + b}, {a + b}+{c}={a + b + c}. Answer: {a + b + c}"


def _capital(rng: Random) -> tuple[str, str]:
    country = rng.choice(sorted(CAPITALS))
    return f"{rng.choice(('What is the capital of', 'Name the capital of'))}\n{country}", CAPITALS[country]


SKILLS: dict[str, Callable[[Random], tuple[str, str]]] = {
    "reverse": _about(("Reverse the letters.", "Write it backwards."), lambda w: w[::-1]),
    "upper-case": _about(("Write it in capital letters.", "Make it upper case."), str.upper),
    "repeat": _about(("Say it twice.", "Repeat the word."), lambda w: f"{w} {w}"),
    "first-letter": _about(("What is the first letter?", "Give the first letter."), lambda w: w[0]),
    "last-letter": _about(("What is the last letter?", "Give the last letter."), lambda w: w[-1]),
    "sum": _sum,
    "capitals": _capital,
    "steps": _steps,
}


def shift(word: str) -> str:
    """Each letter becomes the next one of the alphabet."""
    return "".join(ascii_lowercase[(ascii_lowercase.index(c) + 1) % 26] for c in word)


RULES: dict[str, Callable[[str], str]] = {
    "reverse": lambda w: w[::-1],
    "upper": str.upper,
    "shift": shift,
    "double": lambda w: w + w,
    "first": lambda w: w[0],
    "last": lambda w: w[-1],
    "rotate": lambda w: w[1:] + w[0],
}
"""Rules of the episodes in the pre-training."""

UNSEEN_RULES: dict[str, Callable[[str], str]] = {
    "reverse-shift": lambda w: shift(w)[::-1],
    "shift-upper": lambda w: shift(w).upper(),
}
"""Compositions never shown: in-context learning is not expected to find them."""


def asked(draw: Callable[[Random], tuple[str, str]], rng: Random) -> Conversation:
    question, answer = draw(rng)
    return Conversation((Message("user", question), Message("assistant", answer)))


def episode(rule: Callable[[str], str], rng: Random, shots: int) -> Conversation:
    """``shots`` examples and one more pair."""
    turns: list[Message] = []
    for _ in range(shots + 1):
        word = letters(rng, 3, 4)
        turns += [Message("user", word), Message("assistant", rule(word))]
    return Conversation(tuple(turns))


def mixed(rng: Random, turns: int) -> Conversation:
    """Several instructed skills in one conversation."""
    parts = [asked(SKILLS[rng.choice(sorted(SKILLS))], rng).messages for _ in range(turns)]
    return Conversation(tuple(message for part in parts for message in part))
