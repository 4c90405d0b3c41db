"""What a judged comparison shows, as Markdown and as a page: every figure, safe whatever the names are."""

from __future__ import annotations

import json
import math
import re
from dataclasses import replace
from html import escape, unescape
from html.parser import HTMLParser

import bench_samples
import pytest

from graftlm.comparing.model import Check, Estimate, Judgement, Report
from graftlm.comparing.report.judged import (
    change,
    estimate,
    lost,
    score_said,
    sentence,
    signed,
    turn,
    value,
    weights_said,
)
from graftlm.comparing.report.markdown import markdown, readme_table
from graftlm.comparing.report.page import page

SAMPLES = ("judged", "judged_curves", "judged_many", "judged_none", "judged_one", "judged_hostile")
BENCH = ("finished baseline", "Compared as", "parity gate", "Ratio", "not compared", "graftlm bench")


def sample(name: str) -> tuple[Report, Judgement]:
    report: Report = getattr(bench_samples, name)()
    assert report.judgement is not None
    return report, report.judgement


def cells_of(line: str) -> list[str]:
    return [part.strip() for part in re.split(r"(?<!\\)\|", line)[1:-1]]


def part(text: str, heading: str) -> str:
    return text.split(f"\n{heading}\n", 1)[1].split("\n## ", 1)[0]


class Read(HTMLParser):
    """Elements with their attributes, and what stands open."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))
        if tag not in ("meta", "input", "br", "img", "link"):
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


@pytest.mark.parametrize("name", SAMPLES)
def test_every_line_of_a_table_has_as_many_columns(name: str) -> None:
    text = markdown(sample(name)[0])
    tables = re.findall(r"(?:^\|.*\n?)+", text, re.M)
    assert bool(tables) == (name != "judged_none")
    for table in tables:
        assert len({len(cells_of(line)) for line in table.splitlines()}) == 1


def test_the_markdown_is_in_its_order() -> None:
    text = markdown(bench_samples.judged())
    assert [line for line in text.splitlines() if line.startswith("## ")] == [
        "## What was learned, and what it cost",
        "## All evaluations",
        "## What did not finish",
        "## Weights",
        "## Notes",
    ]
    first = text.splitlines()
    assert first[0] == "# reviews"
    assert "graftlm compare" in first[2]
    assert first[4].startswith("- tiny-qwen is the best by 1 × new")
    assert text.index("**Measured on:**") < text.index("**Settings of all cells:**") < text.index("## What was learned")
    assert "- `small-qwen`: failed, out of memory" in text
    curves = markdown(bench_samples.judged_curves())
    assert curves.index("## All evaluations") < curves.index("## Score over training rows") < curves.index("## Weights")


def test_what_was_learned_and_what_it_cost() -> None:
    table = part(markdown(bench_samples.judged()), "## What was learned, and what it cost")
    lines = [cells_of(line) for line in table.splitlines() if line.startswith("|")]
    assert lines[0] == [
        "Cell", "reviews, exact-match, before", "reviews, exact-match, after", "Against the best",
        "Forgetting, nats a token", "Lost", "Tokens/s", "Peak memory", "Adapter size", "Score", "Kept as",
    ]  # fmt: skip
    assert [line[0] for line in lines[2:]] == ["`tiny-qwen`", "`tiny-mistral`", "`tiny-falcon`", "`tiny-glm`"]
    assert lines[2][1:6] == [
        "3.3% (0.9 to 11.4)", "95% (86.3 to 98.3)", "the best", "+0.004 (−0.006 to +0.014)", "nothing shown"
    ]  # fmt: skip
    assert lines[3][3:5] == ["+3.3 (−3 to +10)", "+0.021 (+0.009 to +0.033)"]
    assert lines[3][-1] == "`reviews-tiny-mistral@1`"


def test_the_table_for_a_readme_is_that_one_alone() -> None:
    report, _ = sample("judged")
    table = readme_table(report)
    assert table in markdown(report)
    assert len(table.splitlines()) == 2 + 4


def test_without_a_new_skill_the_costs_are_shown() -> None:
    report, judgement = sample("judged")
    bare = [replace(c, learned=[e for e in c.learned if e.role == "old"]) for c in judgement.cells]
    report = replace(report, judgement=replace(judgement, cells=tuple(bare)))
    line = next(line for line in markdown(report).splitlines() if line.startswith("| `tiny-mistral`"))
    assert cells_of(line)[1] == "–", "there is nothing to be better in"
    shown = page(report)
    assert 'id="learned"' not in shown
    assert "<b>+0.021</b>" in shown


def test_all_that_was_lost_is_named_the_worst_first() -> None:
    _, judgement = sample("judged")
    text = markdown(bench_samples.judged())
    for cell in judgement.cells:
        found = lost(cell)
        assert {e.evaluation for e in found if e.higher_is_better} == {
            e.evaluation
            for e in cell.learned
            if e.role == "old" and e.higher_is_better and e.change.high is not None and e.change.high < 0
        }
        assert "retention text" not in [e.evaluation for e in found]
        amounts = [abs(e.change.value) for e in found]
        assert amounts == sorted(amounts, reverse=True)
    line = next(line for line in text.splitlines() if line.startswith("| `tiny-mistral`"))
    assert cells_of(line)[5].startswith("capitals −34 (−47.8 to −20.4); reverse −20 (")
    assert "; capitals, taught-answers +10 (+0.9 to +21.4)" in line, "answers that were not asked for are a loss"


@pytest.mark.parametrize("name", ["judged", "judged_curves", "judged_many", "judged_one"])
def test_every_evaluation_stands_in_both_with_where_its_rows_are(name: str) -> None:
    report, judgement = sample(name)
    text, shown = markdown(report), page(report)
    told = part(text, "## All evaluations").split("\n### ")[1:]
    assert len(told) == len(judgement.cells) == shown.count('<details class="every">')
    details = shown.split('<details class="every">')[1:]
    for cell, section, detail in zip(judgement.cells, told, details, strict=True):
        assert section.startswith(f"`{cell.name}`\n")
        assert f"`{cell.samples}/`" in section
        assert f"<code>{cell.samples}/</code>" in detail
        assert score_said(cell, judgement.weights) in section.replace("\\", "")
        rows = [cells_of(line) for line in section.splitlines() if line.startswith("|")][2:]
        for each, row in zip(cell.learned, rows, strict=True):
            assert row[:4] == [each.evaluation, each.role, each.metric, str(each.n)]
            assert row[4:7] == [
                estimate(each.before, each.unit), estimate(each.after, each.unit), change(each.change, each.unit)
            ]  # fmt: skip
            for moment in (each.before, each.after):
                assert f"<b>{value(moment.value, each.unit)}</b>" in detail
            assert f"<b>{signed(each.change.value, each.unit)}</b>" in detail


def test_curves_with_their_forecasts() -> None:
    report, judgement = sample("judged_curves")
    text, shown = markdown(report), page(report)
    section = part(text, "## Score over training rows")
    for curve in judgement.curves:
        assert sentence(curve.said, ()) in section
        for point in curve.points:
            assert estimate(point.score, "fraction") in section
            assert f"<dd>{estimate(point.score, 'fraction')}</dd>" in shown
    assert re.search(r"\| 800 +\| +95% \(90 to 98\) \| forecast", section)
    drawing = re.search(r'<svg class="drawn wide"[^>]*aria-labelledby="curve-0-wide-t".*?</svg>', shown, re.S)
    assert drawing is not None
    assert drawing[0].count('class="hollow"') == 2, "a forecast for each curve that has one"
    assert drawing[0].count('class="fill"') == sum(len(curve.points) for curve in judgement.curves)
    assert "forecast for 800 rows 95% (90 to 98)" in drawing[0]
    assert 'id="rows"' not in page(bench_samples.judged())


def test_the_chart_holds_each_cell_with_its_whiskers() -> None:
    report, judgement = sample("judged")
    drawing = re.search(r'<svg class="drawn wide".*?</svg>', page(report), re.S)
    assert drawing is not None
    dots = re.findall(r'<g class="k\d"><title>(.*?)</title>(.*?)</g>', drawing[0], re.S)
    assert [title.partition(":")[0] for title, _ in reversed(dots)] == [
        f"{rank} {cell.name}" for rank, cell in enumerate(judgement.cells, start=1)
    ]
    for cell, (title, marks) in zip(judgement.cells, reversed(dots), strict=True):
        assert cell.forgetting is not None
        assert estimate(cell.learned[0].after, "fraction") in title
        assert change(cell.forgetting, "nats") in title
        assert marks.count("<line") == 6, "two whiskers with bars at their ends"
    at = {}
    for title, marks in dots:
        ((x, y),) = re.findall(r'<circle cx="([\d.]+)" cy="([\d.]+)"', marks)
        at[title.partition(":")[0]] = float(x), float(y)
    assert at["1 tiny-qwen"][0] < at["2 tiny-mistral"][0] < at["3 tiny-falcon"][0] < at["4 tiny-glm"][0]
    assert at["2 tiny-mistral"][1] < at["1 tiny-qwen"][1] < at["4 tiny-glm"][1] < at["3 tiny-falcon"][1]


def test_several_new_skills_have_a_chart_each_and_one_column() -> None:
    report, judgement = sample("judged_many")
    shown = page(report)
    assert shown.count('class="drawn wide"') == shown.count('class="drawn narrow"') == 5
    head = next(line for line in markdown(report).splitlines() if line.startswith("| Cell"))
    assert "New skills, before → after" in head
    joint = next(cell for cell in judgement.cells if "all" in cell.name)
    line = next(line for line in markdown(report).splitlines() if line.startswith(f"| `{joint.name}`"))
    assert line.count(" → ") == 5


def test_old_skills_are_told_by_sign_as_well_as_by_colour() -> None:
    shown = page(bench_samples.judged())
    old = shown.split('<section id="old">')[1].split("</section>")[0]
    fields = re.findall(r'<td class="number (worse|even|better) much(\d)" data-name="([^"]*)"[^>]*>(.*?)</td>', old)
    assert ("worse", "3", "capitals", True) in [(w, m, n, "✗ −34" in said) for w, m, n, said in fields]
    for way, much, _, said in fields:
        assert ("✗" in said, "✓" in said) == (way == "worse", way == "better")
        assert (much == "0") == (way == "even")


@pytest.mark.parametrize("name", SAMPLES)
def test_the_page_is_whole_and_loads_nothing(name: str) -> None:
    report, _ = sample(name)
    text = page(report)
    assert text == page(getattr(bench_samples, name)())
    read = Read(text)
    assert not read.open
    assert {tag for tag, _ in read.found}.isdisjoint({"img", "link", "iframe", "object", "base", "form"})
    for _, attributes in read.found:
        assert not [key for key in attributes if key in ("src", "href", "style") or key.startswith("on")]
    assert len([tag for tag, _ in read.found if tag == "script"]) == 2
    ids = [attributes["id"] for _, attributes in read.found if "id" in attributes]
    assert len(ids) == len(set(ids))
    named = [
        attributes[key]
        for _, attributes in read.found
        for key in ("aria-labelledby", "aria-describedby")
        if key in attributes
    ]
    assert set(named) <= set(ids)
    assert not re.search(r'="[^"]*(nan|inf)[^"]*"', re.sub(r"<script.*?</script>", "", text, flags=re.S), re.I) or (
        name == "judged_hostile"
    )


def test_figures_that_are_none_reach_no_drawing() -> None:
    shown = page(bench_samples.judged_hostile())
    for drawing in re.findall(r'<svg class="drawn.*?</svg>', shown, re.S):
        assert not re.search(r'(x|y|x1|x2|y1|y2|cx|cy|d)="[^"]*(nan|inf)', drawing)
    assert "1 cell has no figure to draw." in shown
    assert "not a number" in shown


@pytest.mark.parametrize("name", SAMPLES)
def test_nothing_of_the_bench_is_said(name: str) -> None:
    report, _ = sample(name)
    shown = re.sub(r"<(script|style).*?</\1>", "", page(report), flags=re.S)
    for said in BENCH:
        assert said not in markdown(report)
        assert said not in unescape(shown)
    assert "Made by graftlm compare." in shown


def test_a_bench_page_says_nothing_of_judging() -> None:
    shown = page(bench_samples.rich())
    for said in ("graftlm compare", "judged.js", 'id="judged"', "table.sorts", ".heat"):
        assert said not in shown


def test_a_failed_check_is_shown_and_others_are_not() -> None:
    report, _ = sample("judged")
    assert "Checks that failed" not in markdown(report)
    assert 'data-key="gate"' not in page(report).split("<script")[0]
    wrong = Check(name="ids", passed=False, said="the model was given 3 other samples")
    cells = (replace(report.cells[0], checks=(wrong,)), *report.cells[1:])
    report = replace(report, cells=cells)
    assert "- `tiny-qwen`: 0 of 1: the model was given 3 other samples" in markdown(report)
    assert 'data-key="gate"' in page(report).split("<script")[0]


def test_markup_in_names_stays_text() -> None:
    text = markdown(bench_samples.judged_hostile())
    outside = re.sub(r"(`+).*?(?<!`)\1(?!`)", "", re.sub(r"\\`", "", text))
    assert "<" not in outside
    shown = page(bench_samples.judged_hostile())
    assert bench_samples.EVIL not in shown
    assert escape(bench_samples.EVIL) in shown.split("<svg")[1]


def test_nothing_finished_is_said() -> None:
    report, _ = sample("judged_none")
    text, shown = markdown(report), page(report)
    assert "- No cell has finished." in text
    assert "- `peft`: failed, out of memory" in text
    assert 'id="judged"' not in shown
    assert "<svg" not in shown.split("<script")[0]


def test_the_same_figures_are_in_the_data_of_the_page() -> None:
    report, judgement = sample("judged")
    found = re.search(r'id="data">(.*?)</script>', page(report), re.S)
    assert found is not None
    data = json.loads(found[1])
    (group,) = data["groups"]
    assert [data["cells"][n]["name"] for n in group["cells"]][:4] == [cell.name for cell in judgement.cells]
    assert [cell["comparable"] for cell in data["cells"]] == [cell.status == "finished" for cell in report.cells]


@pytest.mark.parametrize(
    ("amount", "unit", "said"),
    [
        (0.9833, "fraction", "98.3%"),
        (1.0, "fraction", "100%"),
        (0.99996, "fraction", "99.996%"),
        (0.0002, "fraction", "0.02%"),
        (1.1119, "nats per token", "1.112"),
        (0.00004, "nats per token", "4e-05"),
        (0.0, "nats per token", "0"),
        (3.0404, "perplexity", "3.04"),
        (math.nan, "fraction", "not a number"),
        (math.inf, "BLEU", "infinite"),
    ],
)
def test_what_is_not_none_is_not_rounded_to_it(amount: float, unit: str, said: str) -> None:
    assert value(amount, unit) == said


def test_changes_have_their_sign() -> None:
    assert change(Estimate(value=-0.35, low=-0.505, high=-0.194), "fraction") == "−35 (−50.5 to −19.4)"
    assert change(Estimate(value=0.0, low=-0.0004, high=0.07), "fraction") == "0 (−0.04 to +7)"
    assert change(Estimate(value=0.0017), "nats") == "+0.002"
    assert change(Estimate(value=-math.inf, low=math.nan, high=1.0), "nats") == "−infinite"


def test_a_turn_is_told_by_the_whole_interval_and_by_what_is_good() -> None:
    fell = bench_samples.scored("sum", "old", 50, 30, 50)
    assert turn(fell) == -1
    assert turn(replace(fell, higher_is_better=False)) == 1
    assert turn(bench_samples.scored("sum", "old", 50, 49, 50)) == 0
    assert turn(replace(fell, change=Estimate(value=-0.4))) == 0
    assert turn(replace(fell, change=Estimate(value=-0.4, low=math.nan, high=math.nan))) == 0


def test_the_score_can_be_added_up_again() -> None:
    _, judgement = sample("judged")
    for cell in judgement.cells:
        said = score_said(cell, judgement.weights).replace("−", "-")
        total = sum(float(w) * float(p) for w, p in re.findall(r"([\d.]+) × (-?[\d.]+) \(", said))
        assert total == pytest.approx(cell.score, abs=0.003)
    told = weights_said(judgement.weights)
    assert told.startswith("The score is 1 × new + 1 × old + 1 × forgetting + 0.25 × size, where new is ")
    assert "tokens a second" not in told, "what weighs nothing is not explained"
