"""Writes the pages that are made from the code: hooks, the API, suites, commands, and the tables of measured results.

``python docs/make_reference.py``; a test compares what is there with what the code says now.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

DOCS = Path(__file__).resolve().parent
FILLED = ("backends.md",)
"""Pages by hand that have tables of results in them."""


def pages() -> Iterator[tuple[str, str]]:
    """Every page by its place below ``docs/``. What other distributions add to the command line is not ours to tell of:
    the caller sees to ``GRAFTLM_PLUGINS=none``.
    """
    from reference.commands import command_pages
    from reference.hooks import hooks_page
    from reference.interface import api_page
    from reference.results import filled
    from reference.suites import suites_page

    yield "hooks.md", hooks_page()
    yield "plugins/api.md", api_page()
    yield "plugins/suites.md", suites_page()
    yield from command_pages()
    for name in FILLED:
        yield name, filled((DOCS / name).read_text(encoding="utf-8"))


def stale() -> list[str]:
    """Pages that are not as the code has them, or that no code makes any more."""
    made = dict(pages())
    return [*(name for name, text in made.items() if _kept(name) != text), *_left(made)]


def write() -> None:
    made = dict(pages())
    for name in _left(made):
        (DOCS / name).unlink()
        print("removed", name)
    for name, text in made.items():
        if _kept(name) != text:
            (DOCS / name).write_text(text, encoding="utf-8")
            print("written", name)


def _kept(name: str) -> str:
    path = DOCS / name
    return path.read_text(encoding="utf-8") if path.is_file() else ""


def _left(made: Mapping[str, str]) -> list[str]:
    """Commands that are no more."""
    return sorted({str(path.relative_to(DOCS)) for path in DOCS.glob("commands/*.md")} - made.keys())


if __name__ == "__main__":
    os.environ["GRAFTLM_PLUGINS"] = "none"
    sys.path.insert(0, str(DOCS))
    write()
