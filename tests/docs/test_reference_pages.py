"""The pages that are made from the code are what the code says now."""

from __future__ import annotations

import importlib
import inspect
from pathlib import Path
from typing import Any

import pytest
from conftest import ROOT

from graftlm import api, hookspecs
from graftlm.contracts.spec import Spec
from graftlm.contracts.stages import STAGES
from graftlm_registry.discovery import HOOKS
from graftlm_registry.plugins import registry

DOCS = ROOT / "docs"
SPECS = [thing for thing in vars(api).values() if inspect.isclass(thing) and issubclass(thing, Spec)]


@pytest.fixture
def reference(monkeypatch: pytest.MonkeyPatch) -> Any:
    """``docs/make_reference.py``, as 'make docs-reference' has it: of graftlm alone, whatever else is installed."""
    monkeypatch.syspath_prepend(DOCS)
    monkeypatch.setenv("GRAFTLM_PLUGINS", "none")
    registry.cache_clear()
    return importlib.import_module("make_reference")


def test_they_are_as_the_code_has_them(reference: Any) -> None:
    assert reference.stale() == [], "run 'make docs-reference'"


def test_one_that_differs_is_found(reference: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    plan = importlib.import_module("graftlm.cli.plan").plan
    monkeypatch.setattr(plan, "help", "Something else.")
    monkeypatch.setattr(hookspecs.graftlm_trackers, "__doc__", hookspecs.graftlm_trackers.__doc__.replace("acme", "x"))
    assert reference.stale() == ["hooks.md", "commands/plan.md"]


def test_every_hook_is_there_with_its_signature_and_its_example() -> None:
    page = (DOCS / "hooks.md").read_text(encoding="utf-8")
    for hook in HOOKS:
        section = page.partition(f"### {hook}\n")[2].partition("\n### ")[0]
        assert f"def {hook}() -> Iterable[" in section
        assert "@hookimpl" in section
        for line in inspect.getdoc(getattr(hookspecs, hook)).splitlines():  # type: ignore[union-attr]
            assert line.removeprefix(">>> ").removeprefix("... ").strip().replace("``", "`") in section
    for stage in STAGES:
        assert f"| `{stage}` |" in page


@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: spec.__name__)
def test_every_field_of_a_spec_is_told_of(reference: Any, spec: type[Spec]) -> None:
    classes = importlib.import_module("reference.classes")
    told = classes.told_of(spec)
    for field in classes.fields(spec):
        assert f"``{field.name}" in told, f"{spec.__name__}.{field.name}"


def test_everything_that_a_plugin_s_author_imports_is_there(reference: Any) -> None:
    interface = importlib.import_module("reference.interface")
    assert interface.told() == set(api.__all__)
    pages = "".join((DOCS / name).read_text(encoding="utf-8") for name in ("hooks.md", "plugins/api.md"))
    for name in api.__all__:
        assert f"# {name}\n" in pages, name


def test_every_suite_is_there_with_its_checks() -> None:
    from graftlm import testing
    from graftlm.testing.judging import checks, words_of

    page = (DOCS / "plugins" / "suites.md").read_text(encoding="utf-8")
    suites = [name for name in testing.__all__ if name.endswith("Suite") and name != "Suite"]
    assert len(suites) == len(HOOKS)
    for name in suites:
        section = page.partition(f"## {name}\n")[2].partition("\n## ")[0]
        for check in set(checks(getattr(testing, name))) - set(checks(testing.Suite)):
            assert f"| {words_of(check)}" in section, (name, check)


def test_tables_of_results_are_of_the_newest_files(reference: Any, tmp_path: Path, monkeypatch: Any) -> None:
    """A later run of the suite must not leave the page as it is."""
    results = importlib.import_module("reference.results")
    before = results.parity()
    later = tmp_path / "2999-01-01-parity"
    later.mkdir()
    for path in results.RESULTS.iterdir():
        (tmp_path / path.name).symlink_to(path)
    report = (results._folder("parity") / "report.json").read_text(encoding="utf-8")
    (later / "report.json").write_text(report.replace("tiny-glm", "tiny-owl"), encoding="utf-8")
    monkeypatch.setattr(results, "RESULTS", tmp_path)
    monkeypatch.setattr(results, "ROOT", tmp_path)
    after = results.parity()
    assert "tiny-owl" in after
    assert "tiny-owl" not in before
