"""The report's page in a real browser: what it draws, how it sorts, that it fits, and that names stay text."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import bench_samples
import chromium
import pytest

from graftlm.comparing.report.page import page

pytestmark = pytest.mark.skipif(chromium.FOUND is None, reason=chromium.MISSING)
SAMPLES = ("rich", "large", "small", "unfinished", "hostile")
NAMES = """[...document.querySelectorAll('tbody:not([hidden]) tr.cell:not([hidden])')]
  .map(row => row.querySelector('.name').textContent)"""
MARKED = """[...new Set([...document.querySelectorAll('#CHART [data-mark]')].map(mark =>
  document.querySelector(`[data-cell="${mark.dataset.mark}"] .name`).textContent))].sort()"""
FINITE = """[...document.querySelectorAll('svg *')]
  .every(one => [...one.attributes].every(attribute => !/NaN|Infinity/.test(attribute.value)))"""
FITS = """(() => {
  const wide = document.documentElement.scrollWidth;
  const looked = 'svg text, .findings li, .panel, .legend button, #tools > *, h1, h2, dd';
  const out = [...document.querySelectorAll(looked)]
    .filter(one => one.getClientRects().length && !one.closest('.table'))
    .filter(one => { const box = one.getBoundingClientRect(); return box.left < -1 || box.right > innerWidth + 1; });
  return [wide <= innerWidth, out.map(one => one.textContent.slice(0, 60))];
})()"""


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[chromium.Browser]:
    made = chromium.Browser(tmp_path_factory.mktemp("chromium"))
    yield made
    made.close()


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    folder = tmp_path_factory.mktemp("pages")

    def written(sample: str) -> Path:
        path = folder / f"{sample}.html"
        if not path.exists():
            path.write_text(page(getattr(bench_samples, sample)()), encoding="utf-8")
        return path

    return written


def told(browser: chromium.Browser, what: str) -> Any:
    return browser.run(f"document.documentElement.dataset.{what}")


@pytest.mark.parametrize("sample", SAMPLES)
@pytest.mark.parametrize(("width", "dark"), [(360, True), (1280, False)])
def test_it_runs_without_an_error_and_fits(
    browser: chromium.Browser, pages: Callable[[str], Path], sample: str, width: int, dark: bool
) -> None:
    browser.show(pages(sample), width, dark=dark)
    assert told(browser, "ready") == "true"
    assert told(browser, "failures") is None
    assert browser.troubles == []
    assert browser.run(FITS) == [True, []]
    cells = len(getattr(bench_samples, sample)().cells)
    assert browser.run("document.querySelectorAll('tr.cell').length") == cells


@pytest.mark.parametrize(
    ("sample", "drawn"),
    [
        ("rich", {"ratios": 1, "memory": 4, "steps": 4, "losses": 4, "sweep": 2}),
        ("small", {"ratios": 1, "memory": 1, "steps": 1, "losses": 1, "sweep": 0}),
        ("unfinished", {"ratios": 0, "memory": 0, "steps": 0, "losses": 0, "sweep": 0}),
    ],
)
def test_the_charts_that_there_are_figures_for_are_drawn(
    browser: chromium.Browser, pages: Callable[[str], Path], sample: str, drawn: dict[str, int]
) -> None:
    browser.show(pages(sample))
    assert {name: browser.run(f"document.querySelectorAll('#{name} svg[role=img]').length") for name in drawn} == drawn
    assert told(browser, "charts") == str(sum(drawn.values()))


def test_what_the_charts_hold(browser: chromium.Browser, pages: Callable[[str], Path]) -> None:
    browser.show(pages("rich"))
    groups = ("tiny-falcon/long", "tiny-falcon/short", "tiny-qwen/long", "tiny-qwen/short")
    compared = sorted(f"{g}/{b}" for g in groups for b in ("peft", "peft-nf4", "trainer", "trl", "unsloth"))
    assert browser.run(MARKED.replace("CHART", "ratios")) == compared
    measured = sorted([*compared, *(f"{g}/falcon-script" for g in groups)])
    for chart in ("memory", "steps", "losses"):
        assert browser.run(MARKED.replace("CHART", chart)) == measured
    # On the front stands unsloth alone: it is the fastest and the smallest of its computation.
    assert browser.run("document.querySelectorAll('#memory .front').length") == 4
    assert browser.run("document.querySelector('#memory .front').getAttribute('d').match(/V/g).length") == 1
    assert browser.run("document.querySelectorAll('#memory path.hollow').length") == 8
    assert "5 of 6 curves agree" in browser.run("document.querySelector('#losses svg').textContent")
    assert browser.run(FINITE)


def test_sorting_by_the_address_by_clicks_and_by_keys(browser: chromium.Browser, pages: Callable[[str], Path]) -> None:
    first = [f"tiny-qwen/short/{one}" for one in ("unsloth", "falcon-script", "peft", "trainer", "trl", "peft-nf4")]
    browser.show(pages("rich"), hash_="#sort=speed:down&group=0")
    assert browser.run(NAMES)[:6] == first
    assert browser.run("document.querySelector('[aria-sort]').getAttribute('aria-sort')") == "descending"
    browser.run("document.querySelector('th[data-key=speed] button').click()")
    assert browser.run(NAMES)[:6] == first[::-1], "cells without a figure stay last"
    assert "sort=speed" in browser.run("location.hash")
    browser.run("document.querySelector('th[data-key=memory] button').focus()")
    browser.press("Enter", 13, "\r")
    assert browser.run("document.querySelector('[aria-sort]').dataset.key") == "memory"
    assert browser.run(NAMES)[0] == "tiny-qwen/short/peft-nf4"


def test_filters(browser: chromium.Browser, pages: Callable[[str], Path]) -> None:
    browser.show(pages("rich"), hash_="#filter=unsloth")
    assert [name.rpartition("/")[2] for name in browser.run(NAMES)] == ["unsloth"] * 4
    browser.run("location.hash = '#only=comparable'; new Promise(done => setTimeout(done, 50))")
    assert len(browser.run(NAMES)) == 16
    browser.run("location.hash = '#filter=nothing-like-it'; new Promise(done => setTimeout(done, 50))")
    assert browser.run(NAMES) == []


def test_details_open_and_curves_hide(browser: chromium.Browser, pages: Callable[[str], Path]) -> None:
    browser.show(pages("rich"))
    details = "document.querySelector('tr.more').getClientRects().length > 0"
    assert browser.run(details) is False
    browser.run("document.querySelector('tr.cell button.name').click()")
    assert browser.run(details) is True
    assert "first loss differs by 3.1e-7" in browser.run("document.querySelector('tr.more').innerText")
    curves = "document.querySelectorAll('#losses [data-mark]').length"
    assert browser.run(curves) == 24
    browser.run("document.querySelector('#losses .legend button').click()")
    assert browser.run(curves) == 20, "a backend is hidden in every group"
    assert browser.run("document.querySelectorAll('#losses [aria-pressed=false]').length") == 4


def test_names_that_are_markup_stay_text(browser: chromium.Browser, pages: Callable[[str], Path]) -> None:
    browser.show(pages("hostile"), hash_="#sort=name")
    assert browser.run("document.title") == bench_samples.EVIL
    assert browser.run("document.querySelectorAll('img, iframe').length") == 0
    assert browser.run("document.querySelectorAll('script').length") == 2
    assert bench_samples.EVIL in browser.run(NAMES)
    assert browser.run("document.querySelector('#ratios svg').textContent").count("<img") >= 1


def test_dark_and_light_differ_and_a_resize_draws_again(
    browser: chromium.Browser, pages: Callable[[str], Path]
) -> None:
    ground = "getComputedStyle(document.body).backgroundColor"
    browser.show(pages("small"), dark=True)
    dark = browser.run(ground)
    browser.media(dark=False)
    assert (dark, browser.run(ground)) == ("rgb(19, 19, 20)", "rgb(255, 255, 255)")
    browser.resize(360, 800)
    browser.run("new Promise(done => setTimeout(done, 150))")
    assert browser.run("Number(document.querySelector('#steps svg').getAttribute('width'))") <= 360
    assert browser.run(FITS) == [True, []]


def test_without_scripts_the_table_and_the_details_are_there(
    browser: chromium.Browser, pages: Callable[[str], Path]
) -> None:
    browser.scripts(False)
    try:
        browser.show(pages("rich"), 360)
        assert told(browser, "ready") is None
        assert browser.run("document.querySelector('noscript').innerText") != ""
        assert browser.run("document.querySelector('tr.more').getClientRects().length") == 1
        assert browser.run("document.documentElement.scrollWidth <= innerWidth") is True
    finally:
        browser.scripts(True)


def test_it_prints(browser: chromium.Browser, pages: Callable[[str], Path]) -> None:
    browser.show(pages("small"), dark=True)
    assert browser.printed().startswith(b"%PDF")
    browser.media(dark=True, kind="print")
    assert browser.run("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert browser.run("getComputedStyle(document.getElementById('tools')).display") == "none"
