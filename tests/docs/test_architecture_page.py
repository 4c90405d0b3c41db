"""The page of the architecture says what the code is."""

from __future__ import annotations

import re
import tomllib
from importlib.util import find_spec
from xml.etree import ElementTree

from conftest import ROOT

PAGE, PICTURE = ROOT / "docs" / "architecture.md", ROOT / "docs" / "architecture.svg"


def layers() -> list[str]:
    """As import-linter holds them."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    (found,) = [c["layers"] for c in settings["tool"]["importlinter"]["contracts"] if c["type"] == "layers"]
    return list(found)


def test_its_layers_are_those_of_the_contract() -> None:
    section = PAGE.read_text(encoding="utf-8").partition("## Who may import whom")[2].partition("\n## ")[0]
    assert re.findall(r"^\| `(graftlm[\w.]*)` \|", section, re.M) == layers()


def test_every_package_that_it_names_is_there() -> None:
    text = PAGE.read_text(encoding="utf-8")
    named = set(re.findall(r"`(graftlm(?:_\w+)?(?:\.\w+)*)`", text))
    assert len(named) > len(layers())
    for name in named:
        assert find_spec(name), name
    for folder in re.findall(r"^\| `([\w/]+/)` \|", text, re.M):
        assert (ROOT / folder).is_dir(), folder


def test_the_picture_has_every_layer_that_the_front_runs_and_needs_nothing_else() -> None:
    root = ElementTree.fromstring(PICTURE.read_text(encoding="utf-8"))
    words = set(re.findall(r"\w+", " ".join(root.itertext())))
    elsewhere = {"testing", "scaffolds", "chat_templates", "intervals", "source"}
    of_the_front = {name.rpartition(".")[2] for name in layers()} - elsewhere
    assert of_the_front <= words
    for element in root.iter():
        for name, value in element.attrib.items():
            assert not name.endswith("href"), "a picture that loads something"
            assert "url(" not in value or value.startswith("url(#"), value


def test_the_worker_s_jobs_are_named_as_they_are() -> None:
    from graftlm.worker.__main__ import JOBS

    section = PAGE.read_text(encoding="utf-8").partition("A **worker**")[2].partition("It alone")[0]
    assert set(re.findall(r"`(\w+)`", section)) <= set(JOBS)
