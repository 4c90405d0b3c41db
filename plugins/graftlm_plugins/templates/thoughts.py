"""Thoughts in an assistant's words, as the reasoning models' own templates separate them."""

from __future__ import annotations

THINK, THOUGHT = "<think>", "</think>"


def separated(words: str) -> tuple[str, str]:
    """The thought and what is said of ``<think>\\n…\\n</think>\\n\\n…``; words without ``</think>`` have no thought."""
    if THOUGHT not in words:
        return "", words
    parts = words.split(THOUGHT)
    return parts[0].rstrip("\n").split(THINK)[-1].lstrip("\n"), parts[-1].lstrip("\n")


def said(answered: str) -> str:
    """An answer without its thought."""
    return separated(answered)[1].strip()
