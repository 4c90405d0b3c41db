"""The report's page as text: whole, the same for the same report, and safe whatever the names are."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from html.parser import HTMLParser
from typing import Any

import bench_samples
import pytest

from graftlm.comparing.model import Report
from graftlm.comparing.report.page import page

SAMPLES = ("rich", "large", "small", "unfinished", "hostile")
VOID = ("meta", "input", "br", "img", "link")


class Read(HTMLParser):
    """The elements, their attributes and text, as a browser sees them."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.text: dict[str, str] = {}
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        where = self.open[-1] if self.open else ""
        self.text[where] = self.text.get(where, "") + data

    def named(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.found if name == tag]


def data_of(text: str) -> Any:
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', text, re.S)
    assert found is not None
    return json.loads(found[1])


@pytest.mark.parametrize("sample", SAMPLES)
def test_the_page_is_whole_and_loads_nothing(sample: str) -> None:
    report: Report = getattr(bench_samples, sample)()
    text = page(report)
    read = Read(text)
    assert not read.open
    assert {tag for tag, _ in read.found}.isdisjoint({"img", "link", "iframe", "object", "base", "form"})
    for _, attributes in read.found:
        assert not [name for name in attributes if name in ("src", "href", "style") or name.startswith("on")]
    assert len(read.named("script")) == 2
    assert [one["class"] for one in read.named("tr") if "data-cell" in one].__len__() == len(report.cells)
    assert "@import" not in text
    assert "url(" not in text


@pytest.mark.parametrize("sample", SAMPLES)
def test_the_same_report_gives_the_same_bytes(sample: str) -> None:
    make = getattr(bench_samples, sample)
    assert page(make()) == page(make())


def test_only_the_script_and_the_style_in_it_may_run() -> None:
    text = page(bench_samples.rich())
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', text)
    assert policy is not None
    assert policy[1].startswith("default-src 'none'")
    for tag in ("style", "script"):
        inside = re.search(rf"<{tag}>(.*?)</{tag}>", text, re.S)
        assert inside is not None
        digest = base64.b64encode(hashlib.sha256(inside[1].encode()).digest()).decode()
        assert f"{tag}-src 'sha256-{digest}'" in policy[1]


def test_the_scripts_write_no_markup() -> None:
    text = page(bench_samples.rich())
    for forbidden in ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "fetch(", "import("):
        assert forbidden not in text


def test_the_data_cannot_leave_its_element() -> None:
    text = page(bench_samples.hostile())
    start = text.index('id="data">') + len('id="data">')
    inlined = text[start : text.index("</script>", start)]
    assert not set("<>&\u2028\u2029") & set(inlined)
    assert data_of(text)["cells"][0]["name"] == bench_samples.EVIL
    assert bench_samples.EVIL_END in Read(text).text["span"]


def test_text_that_looks_like_a_placeholder_stays() -> None:
    read = Read(page(bench_samples.hostile()))
    assert read.text["title"] == bench_samples.EVIL
    assert "{{title}}" in read.text["li"]


def test_ratios_that_may_not_be_shown_are_not_in_the_page() -> None:
    data = data_of(page(bench_samples.rich()))
    for cell in data["cells"]:
        allowed = cell["status"] == "finished" and cell["relation"] in ("same computation", "another computation")
        assert bool(cell["ratios"]) == allowed, cell["name"]


def test_the_table_stands_without_a_script() -> None:
    text = page(bench_samples.rich())
    table = text[text.index("<table>") : text.index("</table>")]
    for said in ("7,472", "1.42 to 1.45", "0 of 32 layers quantized", "first loss differs by 3.1e-7", "not comparable"):
        assert said in table
    assert "<noscript>" in text


def test_numbers_that_are_none_do_not_break_the_data() -> None:
    (diverged,) = [one for one in data_of(page(bench_samples.hostile()))["cells"] if one["name"] == "diverged"]
    assert diverged["losses"] == [2.0, None, None]
