"""The report of a comparison as Markdown: what must stand in it, what must not, and that nothing breaks a table."""

from __future__ import annotations

import re
from dataclasses import replace

import bench_samples
import pytest

from graftlm.comparing.model import CellReport, Ratio, Report
from graftlm.comparing.report.headline import findings, gate_sentence
from graftlm.comparing.report.markdown import markdown, readme_table
from graftlm.comparing.report.rows import columns, groups, interval, labels, number, quantity

SAMPLES = ("rich", "large", "small", "unfinished", "hostile")


def cells_of(line: str) -> list[str]:
    """A table's line as GitHub splits it: an escaped pipe is text."""
    return [part.strip() for part in re.split(r"(?<!\\)\|", line)[1:-1]]


def rows_of(text: str, cell: str) -> list[list[str]]:
    return [cells_of(line) for line in text.splitlines() if line.startswith("|") and f"`{cell}`" in line]


@pytest.mark.parametrize("sample", SAMPLES)
def test_every_line_of_a_table_has_as_many_columns(sample: str) -> None:
    report: Report = getattr(bench_samples, sample)()
    for text in (markdown(report), readme_table(report)):
        tables = re.findall(r"(?:^\|.*\n?)+", text, re.M)
        assert tables or sample == "unfinished"
        for table in tables:
            assert len({len(cells_of(line)) for line in table.splitlines()}) == 1


@pytest.mark.parametrize("sample", SAMPLES)
def test_every_cell_is_named_with_its_reason(sample: str) -> None:
    report: Report = getattr(bench_samples, sample)()
    said = markdown(report)
    for cell in report.cells:
        plain = cell.name.replace("|", "\\|")
        assert cell.name in said or plain in said
    for cell in report.cells:
        if cell.reason and "<" not in cell.reason:
            assert cell.reason in said


def test_a_table_a_group_with_the_baseline_first() -> None:
    report = bench_samples.rich()
    said = markdown(report)
    assert [line for line in said.splitlines() if line.startswith("## ")] == [
        "## lora on tiny-qwen in fp32, short rows",
        "## lora on tiny-qwen in fp32, long rows",
        "## lora on tiny-falcon in fp32, short rows",
        "## lora on tiny-falcon in fp32, long rows",
        "## As max-length grows",
        "## Notes",
    ]
    first = said.split("## ")[1]
    assert [row[0] for row in map(cells_of, first.splitlines()) if row][2] == "`tiny-qwen/short/peft`"
    assert "unsloth is ahead: 1.44 times as fast as peft (1.42 to 1.45)" in said
    assert "gate; 4 are another computation; 4 are not comparable; 4 failed; 4 are unavailable." in said


def test_ratios_only_of_what_may_be_compared() -> None:
    said = markdown(bench_samples.rich())
    (unsloth,) = rows_of(said, "tiny-qwen/short/unsloth")
    assert unsloth[1:5] == ["same computation", "7,472 (7,308 to 7,611)", "1.44 (1.42 to 1.45)", "1.44 times as fast"]
    assert unsloth[-1] == "7 of 7: first loss differs by 3.1e-7"
    (script,) = rows_of(said, "tiny-qwen/short/falcon-script")
    assert (script[1], script[3]) == ("not comparable", "–")
    assert "- `tiny-qwen/short/falcon-script`: not comparable, 0 of 32 layers quantized" in said
    assert "- `tiny-qwen/short/axolotl`: unavailable, axolotl needs CUDA, and this machine has no GPU" in said
    assert not rows_of(said, "tiny-qwen/short/axolotl")
    (nf4,) = rows_of(said, "tiny-qwen/short/peft-nf4")
    assert nf4[1] == "another computation"
    assert nf4[3].startswith("0.72 (")


@pytest.mark.parametrize("relation", ["not comparable", "none"])
def test_a_ratio_that_a_cell_carries_without_right_is_not_shown(relation: str) -> None:
    base, other = bench_samples.small().cells
    wrong = Ratio(median=7.77, low=7.7, high=7.8, rounds=5, said="7.77 times as fast (7.7 to 7.8)")
    other = replace(other, relation=relation, ratios={"tokens_per_second": wrong})  # type: ignore[arg-type]
    report = bench_samples.report((base, other))
    assert "7.7" not in markdown(report) + readme_table(report)
    failed = replace(other, relation="same computation", status="failed")
    assert "7.7" not in markdown(bench_samples.report((base, failed)))


def test_a_cell_that_is_not_through_yet_has_its_figures_and_says_so() -> None:
    base, other = bench_samples.small().cells
    part = replace(other, status="unfinished", reason="3 of 5 rounds are finished", rounds=3)
    said = markdown(bench_samples.report((base, part)))
    assert rows_of(said, "trainer")[0][1:4] == ["unfinished", "1,007 (991 to 1,036)", "1.01 (0.97 to 1.03)"]
    assert "- `trainer`: unfinished, 3 of 5 rounds are finished" in said
    broken = replace(other, status="failed", reason="a later run failed: out of memory")
    said = markdown(bench_samples.report((base, broken)))
    assert not rows_of(said, "trainer")
    assert "- `trainer`: failed, a later run failed: out of memory" in said


def test_the_table_for_a_readme_is_one_table() -> None:
    said = readme_table(bench_samples.rich())
    lines = said.splitlines()
    assert cells_of(lines[0]) == ["Cell", "Tokens/s", "Ratio", "Peak memory", "Gate"]
    assert len(lines) == 2 + 32
    assert rows_of(said, "tiny-qwen/short/unsloth")[0][1:] == ["7,472", "1.44 (1.42 to 1.45)", "978 MiB", "7 of 7"]
    assert rows_of(said, "tiny-qwen/short/falcon-script")[0][4] == "not comparable, 0 of 32 layers quantized"


def test_no_difference_is_said_in_words() -> None:
    said = markdown(bench_samples.small())
    assert "No difference is shown between peft and trainer." in said
    assert "no difference shown" in rows_of(said, "trainer")[0]


def test_who_is_ahead() -> None:
    def said(*ratios: Ratio) -> str:
        base, other = bench_samples.small().cells
        cells = [base] + [
            replace(other, name=f"b{n}", settings={"backend": f"b{n}"}, ratios={"tokens_per_second": one})
            for n, one in enumerate(ratios)
        ]
        report = bench_samples.report(cells)
        found = groups(report)
        return findings(report, found, columns(report), labels(report, found))[0].said

    fast = Ratio(median=1.4, low=1.3, high=1.5, rounds=5, said="1.40 times as fast (1.30 to 1.50)")
    also = Ratio(median=1.3, low=1.2, high=1.4, rounds=5, said="1.30 times as fast (1.20 to 1.40)")
    slow = Ratio(median=0.8, low=0.7, high=0.9, rounds=5, said="0.80 times as fast (0.70 to 0.90)")
    few = Ratio(median=1.4, low=None, high=None, rounds=1, said="1.40 times as fast (too few rounds for an interval)")
    assert said(fast, slow) == "b0 is ahead: 1.40 times as fast as peft (1.30 to 1.50)."
    assert said(also, fast).endswith("Its interval overlaps with that of b0.")
    assert said(slow) == "peft, the baseline, is ahead of all: b0 comes nearest, 0.80 times as fast (0.70 to 0.90)."
    assert said(few) == "There are too few rounds to tell peft and b0 apart."


def test_cells_without_a_class_stand_with_the_baseline_that_they_resemble() -> None:
    cells = list(bench_samples.matrix(("one", "two"), ("short",)))
    lost = CellReport(name="lost", settings={"backend": "x", "model": "two"}, status="unavailable", reason="no GPU")
    report = bench_samples.report([*cells, lost])
    first, second = groups(report)
    assert (first.title, second.title) == ("lora on one in fp32, short rows", "lora on two in fp32, short rows")
    assert len(report.cells) - 1 in second.cells


def test_nothing_finished_is_said() -> None:
    said = markdown(bench_samples.unfinished())
    assert "No cell has finished." in said
    assert gate_sentence(bench_samples.unfinished()) == "1 is unfinished; 1 failed; 1 is unavailable."


def test_markup_in_names_stays_text() -> None:
    said = markdown(bench_samples.hostile())
    outside = re.sub(r"(`+).*?(?<!`)\1(?!`)", "", re.sub(r"\\`", "", said))
    assert "<" not in outside
    assert said.count("# &lt;img src=x") >= 1


@pytest.mark.parametrize(
    ("value", "unit", "said"),
    [
        (12438.4, "tokens/s", "12,438"),
        (87.26, "", "87.26"),
        (1.5 * 2**30, "bytes", "1.50 GiB"),
        (0.0213, "s", "21.3 ms"),
        (90.0, "s", "90.0 s"),
        (600.0, "s", "10.0 min"),
        (3e-5, "s", "30.0 µs"),
        (float("nan"), "s", "not a number"),
    ],
)
def test_quantities_have_units_of_their_size(value: float, unit: str, said: str) -> None:
    assert quantity(value, unit) == said


def test_an_end_that_is_not_one_is_not_rounded_to_it() -> None:
    assert interval(Ratio(median=0.98, low=0.95, high=0.998, rounds=5, said="")) == "0.98 (0.95 to 0.998)"
    assert number(0.00312) == "0.0031"
