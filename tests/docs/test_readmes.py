"""The English README and the Chinese one are one README."""

from __future__ import annotations

import re

from conftest import ROOT
from markdown_blocks import blocks, commands

ENGLISH, CHINESE = ROOT / "README.md", ROOT / "README.zh-CN.md"
LINK = re.compile(r"\]\(([^)\s]+)\)")


def test_both_have_the_same_commands_in_the_same_order_with_the_same_output() -> None:
    assert len(commands(ENGLISH)) > 30
    assert commands(CHINESE) == commands(ENGLISH)
    assert [block.language for block in blocks(CHINESE)] == [block.language for block in blocks(ENGLISH)]


def test_both_have_the_same_sections_and_tables() -> None:
    def shape(text: str) -> list[str]:
        lines = re.sub(r"^```.*?^```$", "", text, flags=re.M | re.S).splitlines()
        found = (re.match(r"#+ |\|(?= )|- ", line) for line in lines)
        return [match[0] for match in found if match]

    assert shape(CHINESE.read_text(encoding="utf-8")) == shape(ENGLISH.read_text(encoding="utf-8"))


def test_both_point_to_the_same_places_and_to_each_other() -> None:
    english, chinese = (LINK.findall(path.read_text(encoding="utf-8")) for path in (ENGLISH, CHINESE))
    assert english[0] == CHINESE.name
    assert chinese[0] == ENGLISH.name
    assert english[1:] == chinese[1:]


def test_both_have_the_same_figures() -> None:
    """A figure that is measured anew must change in both."""

    def figures(text: str) -> list[str]:
        return sorted(re.findall(r"\b\d[\d,]*,\d{3}\b|\b\d{4}-\d\d-\d\d\b|\b\d+\.\d+\b", text))

    assert figures(CHINESE.read_text(encoding="utf-8")) == figures(ENGLISH.read_text(encoding="utf-8"))


def test_every_link_of_the_documentation_leads_somewhere() -> None:
    pages = [ENGLISH, CHINESE, ROOT / "CHANGELOG.md", *(ROOT / "docs").rglob("*.md")]
    assert len(pages) > 30
    for page in pages:
        for target in LINK.findall(page.read_text(encoding="utf-8")):
            if not re.match(r"[a-z]+:|#", target):
                assert (page.parent / target.partition("#")[0]).exists(), f"{page.name} links to {target}"
