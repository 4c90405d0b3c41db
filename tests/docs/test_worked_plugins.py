"""The worked examples of how to write a plugin: followed to the letter, and judged."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest
from conftest import ROOT, Said
from markdown_blocks import blocks, commands, file_of
from shown_output import missing
from written_distribution import installed

from graftlm.testing import KIT
from graftlm.testing.choosing import suite_of
from graftlm.testing.judging import Verdict, judge, words_of
from graftlm.version import __version__
from graftlm_registry.plugins import registry

PAGES = ROOT / "docs" / "plugins"
WORKED = {"family": ("family", "granite"), "accelerator": ("accelerator", "lean-gate")}
"""By page."""


def files(page: Path) -> Mapping[str, str]:
    """What the page writes, by place in the distribution."""
    first = (block.text.split("\n", 1)[0] for block in blocks(page, "python"))
    names = dict.fromkeys(line.removeprefix("# ") for line in first if re.fullmatch(r"# graftlm_\w+/\w+\.py", line))
    return {name: file_of(page, name) for name in names}


@pytest.fixture(params=WORKED)
def worked(
    request: pytest.FixtureRequest, run: Callable[..., Said], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[tuple[Path, str, str]]:
    """The page, and its plugin: made by the page's first command, its files then written over by the page's own."""
    page, (kind, name) = PAGES / f"{request.param}.md", WORKED[request.param]
    monkeypatch.chdir(tmp_path)
    first = commands(page)[0].line
    assert first == f"graftlm plugins new {kind} {name}"
    said = run(*shlex.split(first)[1:])
    assert said.code == 0, said.err
    folder = tmp_path / f"graftlm-{name}"
    assert commands(page)[1].line in said.out, "the page says how to install it as the command does"
    for place, text in files(page).items():
        (folder / place).write_text(text, encoding="utf-8")
    with installed(folder):
        yield page, kind, name


def as_told(verdict: Verdict) -> str:
    """As 'graftlm plugins check' shows it."""
    return f"{verdict.state}  {words_of(verdict.check)}  ({verdict.seconds:.1f} s)"


def test_the_plugin_passes_its_suite_as_the_page_shows(worked: tuple[Path, str, str]) -> None:
    page, kind, name = worked
    plugin, spec = registry().find(kind, name)
    assert plugin.distribution == f"graftlm-{name}"
    suite, unasked = suite_of(spec)
    assert (suite.__module__, unasked) == (f"graftlm_{name.replace('-', '_')}.conformance", "")
    verdicts = list(judge(suite))
    assert {v.check: v.reason for v in verdicts if v.state != "passed"} == {}
    checked = [command for command in commands(page) if command.line == f"graftlm plugins check {kind}/{name}"]
    shown = checked[-1].shown
    assert len(shown) > 5
    table = [
        f"plugin  {kind} {name} of {plugin.distribution} {plugin.version}",
        f"suite   {suite.__module__}:{suite.__name__} (kit {KIT}, graftlm {__version__})",
        f"found   {len(verdicts)} passed",
    ]
    assert missing(shown, "\n".join([*map(as_told, verdicts), *table])) == ""


@pytest.mark.parametrize("page", WORKED)
def test_a_page_s_files_are_those_that_it_speaks_of(page: str) -> None:
    text = (PAGES / f"{page}.md").read_text(encoding="utf-8")
    package = f"graftlm_{WORKED[page][1].replace('-', '_')}"
    assert {f"{package}/__init__.py", f"{package}/conformance.py"} <= files(PAGES / f"{page}.md").keys()
    assert {Path(place).stem for place in re.findall(rf'"{package}\.(\w+):', text)} <= {
        Path(place).stem for place in files(PAGES / f"{page}.md")
    }


def test_every_kind_is_on_the_page_that_lists_them() -> None:
    from graftlm_registry.discovery import KIND_OF_HOOK

    rows = re.findall(r"^\| `(\w+)` \|.*\[(graftlm_\w+)\]", (PAGES / "index.md").read_text(encoding="utf-8"), re.M)
    assert {hook: kind for kind, hook in rows} == KIND_OF_HOOK
