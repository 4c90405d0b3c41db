"""The page of a judged comparison in a real browser: it fits, draws without a script, and its tables sort."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import bench_samples
import chromium
import pytest

from graftlm.comparing.report.page import page

pytestmark = pytest.mark.skipif(chromium.FOUND is None, reason=chromium.MISSING)
SAMPLES = ("judged", "judged_curves", "judged_many", "judged_none", "judged_one", "judged_hostile")
FITS = """(() => {
  const wide = document.documentElement.scrollWidth;
  const looked = 'svg text, .findings li, .panel, .every, .every td, #judged td, #old td, h1, h2, h3, dd, .how';
  const out = [...document.querySelectorAll(looked)]
    .filter(one => one.getClientRects().length && !(innerWidth > 720 && one.closest('.table')))
    .filter(one => { const box = one.getBoundingClientRect(); return box.left < -1 || box.right > innerWidth + 1; });
  return [wide <= innerWidth, out.map(one => one.textContent.slice(0, 60))];
})()"""
SEEN = "[...document.querySelectorAll('svg.drawn')].filter(one => one.getClientRects().length)"
FINITE = """[...document.querySelectorAll('svg *')]
  .every(one => [...one.attributes].every(attribute => !/NaN|Infinity|\\bnan\\b|\\binf\\b/.test(attribute.value)))"""
NAMES = "[...document.querySelectorAll('#judged tbody th')].map(one => one.textContent.replace(/kept as.*/, '').trim())"


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


@pytest.mark.parametrize("sample", SAMPLES)
@pytest.mark.parametrize(("width", "dark"), [(360, True), (360, False), (1280, True), (1280, False)])
def test_it_runs_without_an_error_and_fits(
    browser: chromium.Browser, pages: Callable[[str], Path], sample: str, width: int, dark: bool
) -> None:
    browser.show(pages(sample), width, dark=dark)
    assert browser.run("document.documentElement.dataset.ready") == "true"
    assert browser.run("document.documentElement.dataset.failures") is None
    assert browser.troubles == []
    browser.run("document.querySelectorAll('details').forEach(one => { one.open = true; })")
    assert browser.run(FITS) == [True, []]
    assert browser.run(FINITE)


@pytest.mark.parametrize(("width", "kind"), [(360, "narrow"), (1280, "wide")])
@pytest.mark.parametrize("scripts", [True, False])
def test_charts_are_drawn_at_a_size_that_can_be_read_without_a_script_too(
    browser: chromium.Browser, pages: Callable[[str], Path], width: int, kind: str, scripts: bool
) -> None:
    browser.scripts(scripts)
    try:
        browser.show(pages("judged_curves"), width)
        seen = browser.run(f"{SEEN}.map(one => one.classList[1])")
        assert seen == [kind, kind], "one against forgetting, one over rows"
        heights = browser.run(f"{SEEN}.map(one => one.querySelector('text').getBoundingClientRect().height)")
        assert all(height >= 10 for height in heights)
        assert browser.run("document.querySelectorAll('#judged tbody tr').length") == 10
        browser.run("document.querySelector('.every').open = true")
        assert "samples/reviews-" in browser.run("document.querySelector('.every').innerText")
    finally:
        browser.scripts(True)


def test_no_two_names_in_a_chart_stand_on_each_other(browser: chromium.Browser, pages: Callable[[str], Path]) -> None:
    browser.show(pages("judged_curves"))
    over = """(() => {
      const boxes = [...document.querySelectorAll('#learned svg.wide text.halo')]
        .map(one => one.getBoundingClientRect());
      return [boxes.length, boxes.flatMap((a, i) => boxes.slice(i + 1).filter(b =>
        a.left < b.right - 1 && b.left < a.right - 1 && a.top < b.bottom - 3 && b.top < a.bottom - 3)).length];
    })()"""
    assert browser.run(over) == [10, 0]


def test_the_judged_tables_sort_one_by_one(browser: chromium.Browser, pages: Callable[[str], Path]) -> None:
    browser.show(pages("judged"))
    ranked = ["1 tiny-qwen", "2 tiny-mistral", "3 tiny-falcon", "4 tiny-glm"]
    assert browser.run(NAMES) == ranked
    learned = "document.querySelectorAll('#judged thead button')[1]"
    browser.run(f"{learned}.click()")
    assert browser.run(NAMES) == ["2 tiny-mistral", "1 tiny-qwen", "4 tiny-glm", "3 tiny-falcon"]
    assert browser.run("document.querySelector('#judged [aria-sort]').getAttribute('aria-sort')") == "descending"
    browser.run(f"{learned}.click()")
    assert browser.run(NAMES) == ["3 tiny-falcon", "4 tiny-glm", "1 tiny-qwen", "2 tiny-mistral"]
    browser.run(f"{learned}.focus()")
    browser.press("Enter", 13, "\r")
    assert browser.run(NAMES) == ranked
    assert (
        browser.run("document.querySelectorAll('#judged [aria-sort], #old [aria-sort], #cells [aria-sort]').length")
        == 0
    )


def test_the_table_of_cells_still_sorts_filters_and_opens(
    browser: chromium.Browser, pages: Callable[[str], Path]
) -> None:
    browser.show(pages("judged"), hash_="#sort=speed")
    names = "[...document.querySelectorAll('#cells tr.cell:not([hidden]) .name')].map(one => one.textContent)"
    assert browser.run(names) == ["tiny-glm", "tiny-falcon", "tiny-mistral", "tiny-qwen", "small-qwen"]
    browser.run("document.querySelector('#tools input[type=checkbox]').click()")
    assert "small-qwen" not in browser.run(names)
    browser.run("document.querySelector('#cells button.name').click()")
    assert "sdpa" in browser.run("document.querySelector('#cells tr.more').innerText")
    assert browser.run("document.querySelectorAll('#judged tr:not([hidden])').length") == 5
    drawn = {
        one: browser.run(f"document.querySelectorAll('#{one} svg[role=img]').length") for one in ("memory", "losses")
    }
    assert drawn == {"memory": 1, "losses": 1}


def test_names_that_are_markup_stay_text(browser: chromium.Browser, pages: Callable[[str], Path]) -> None:
    browser.show(pages("judged_hostile"))
    assert browser.run("document.title") == bench_samples.EVIL
    assert browser.run("document.querySelectorAll('img, iframe').length") == 0
    assert browser.run("document.querySelectorAll('script').length") == 2
    assert any(bench_samples.EVIL in name for name in browser.run(NAMES))


def test_it_prints_with_the_charts_on_white(browser: chromium.Browser, pages: Callable[[str], Path]) -> None:
    browser.show(pages("judged"), dark=True)
    assert browser.printed().startswith(b"%PDF")
    browser.media(dark=True, kind="print")
    assert browser.run("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert browser.run(f"{SEEN}.length") == 1
