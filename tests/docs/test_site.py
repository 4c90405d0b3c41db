"""The site is built without a warning, and loads nothing from the network."""

from __future__ import annotations

import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest
from conftest import ROOT

pytest.importorskip("sphinx")

REMOTE = re.compile(r"(?:https?:)?//", re.I)
LOADS = {
    "script": "src",
    "img": "src",
    "iframe": "src",
    "source": "src",
    "object": "data",
    "embed": "src",
    "link": "href",
}


class Loaded(HTMLParser):
    """What a browser fetches for a page, without being asked."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag == "link" and given.get("rel") in ("canonical", "next", "prev", "author"):
            return
        self.found += [value for value in (given.get(LOADS.get(tag, "")), given.get("srcset")) if value]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "sphinx", "-W", "--keep-going", "-n", "-q", "-b", "html"]
    done = subprocess.run([*command, str(ROOT / "docs"), str(out)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return out


def test_every_page_is_there(site: Path) -> None:
    for page in (ROOT / "docs").rglob("*.md"):
        assert (site / page.relative_to(ROOT / "docs").with_suffix(".html")).is_file(), page


def test_nothing_is_loaded_from_the_network(site: Path) -> None:
    loaded = 0
    for page in site.rglob("*.html"):
        reader = Loaded()
        reader.feed(page.read_text(encoding="utf-8"))
        loaded += len(reader.found)
        assert [what for what in reader.found if REMOTE.match(what)] == [], page.name
    assert loaded > 100
    for style in site.rglob("*.css"):
        text = style.read_text(encoding="utf-8")
        assert not re.search(r"@import\s+(url\()?['\"]?(https?:)?//|url\(['\"]?(https?:)?//", text), style.name


def test_links_to_files_of_the_repository_say_where_they_are(site: Path) -> None:
    text = (site / "backends.html").read_text(encoding="utf-8")
    assert "benchmarks/results/" in text
    assert 'href="../benchmarks' not in text


def test_a_word_can_be_searched_without_a_server(site: Path) -> None:
    assert "graftlm" in (site / "searchindex.js").read_text(encoding="utf-8")
