"""What is shipped, and what the project says of itself."""

from __future__ import annotations

import doctest
import inspect
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from conftest import ROOT

from graftlm import api, hookspecs
from graftlm_registry.discovery import HOOKS, KIND_OF_HOOK
from graftlm_registry.models import catalogue

SOURCES = ("core/graftlm", "plugins/graftlm_plugins", "registry/graftlm_registry")


def test_the_wheel_holds_what_git_tracks(tmp_path: Path) -> None:
    tracked = subprocess.run(["git", "ls-files", *SOURCES], cwd=ROOT, capture_output=True, text=True, check=False)
    if tracked.returncode:
        pytest.skip("not a git checkout")
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(tmp_path), str(ROOT)]
    subprocess.run(command, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    shipped = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    assert shipped == {path.partition("/")[2] for path in tracked.stdout.splitlines()}


def test_built_in_models_are_small_and_have_cards() -> None:
    for name in catalogue().names():
        folder = catalogue().entry(name).folder
        if folder is not None:
            size = sum(path.stat().st_size for path in folder.iterdir())
            assert size <= (10_000_000 if name.startswith("small") else 2_000_000), name
            card = catalogue().card(name)
            assert {"skills", "few_shot", "recipe", "weights_digest", "licence", "suggestions"} <= card.keys()


def test_a_card_s_digest_is_of_the_weights_that_are_shipped() -> None:
    from graftlm_registry.adapters.content import tensors_digest

    for name in catalogue().names():
        folder = catalogue().entry(name).folder
        if folder is not None:
            assert tensors_digest(folder / "model.safetensors") == catalogue().card(name)["weights_digest"]


@pytest.mark.parametrize("hook", HOOKS)
def test_every_hook_has_an_example_that_runs(hook: str) -> None:
    """The example is a plugin: its specs are made, and are of the hook's kind."""
    documented = inspect.getdoc(getattr(hookspecs, hook)) or ""
    examples = doctest.DocTestParser().get_examples(documented)
    assert examples, f"{hook} has no example"
    names = {name: getattr(api, name) for name in api.__all__}
    names |= {"describe": lambda request: None, "fetch": lambda request, description: None}
    for example in examples:
        exec(example.source, names)
    specs = list(names[hook]())
    assert specs
    assert all(spec.kind == KIND_OF_HOOK[hook] for spec in specs)


def test_the_api_exports_what_it_says() -> None:
    for name in api.__all__:
        assert getattr(api, name) is not None


def test_no_file_is_two_ideas() -> None:
    for source in SOURCES:
        for path in (ROOT / source).rglob("*.py"):
            assert len(path.read_text().splitlines()) <= 300, path


def test_every_module_says_what_it_is() -> None:
    for source in SOURCES:
        for path in (ROOT / source).rglob("*.py"):
            if path.name != "__init__.py":
                assert re.match(r'"""\S', path.read_text()), path
