"""What the documentation tells people to type is there: commands, their subcommands and their flags."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from conftest import ROOT
from markdown_blocks import commands

from graftlm.cli import cli

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


def calls(page: Path) -> Iterator[list[str]]:
    """Every call of graftlm in the page's console blocks, without variables before it, split as a shell does."""
    for command in commands(page):
        for part in re.split(r"\s*(?:;|&&|\|(?!\w))\s*", command.line):
            words = shlex.split(part)
            while words and re.fullmatch(r"[A-Z_]+=.*", words[0]):
                words = words[1:]
            if words[:1] == ["graftlm"]:
                yield words[1:]


def check(words: list[str]) -> None:
    """Raises where a word is no command, or no flag of the command that it follows."""
    context = click.Context(cli, info_name="graftlm")
    command: click.Command = cli
    known = _flags(command)
    for word in words:
        if word.startswith("-") and len(word) > 1:
            flag = word.partition("=")[0]
            assert flag in known, f"graftlm {' '.join(words)}: {command.name} has no {flag}"
        elif isinstance(command, click.Group):
            found = command.get_command(context, word)
            assert found is not None, f"graftlm {' '.join(words)}: there is no command {word}"
            command, context = found, click.Context(found, info_name=word, parent=context)
            known |= _flags(command)


def _flags(command: click.Command) -> set[str]:
    return {flag for p in command.params for flag in (*p.opts, *p.secondary_opts)} | {"-h", "--help", "--debug"}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_command_of_a_page_is_there(page: Path) -> None:
    for words in calls(page):
        check(words)


def test_most_pages_have_some() -> None:
    assert sum(1 for page in PAGES for _ in calls(page)) > 80


@pytest.mark.parametrize("wrong", ["tarin data.jsonl", "train data.jsonl --leraning-rate 1", "runs lst"])
def test_a_wrong_one_is_found(wrong: str) -> None:
    with pytest.raises(AssertionError, match="graftlm"):
        check(wrong.split())
