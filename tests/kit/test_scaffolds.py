"""``graftlm plugins new``: what it writes works at once, whatever it is called, and what it refuses leaves nothing."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import Said
from written_distribution import installed

from graftlm.scaffolds import writing
from graftlm.scaffolds.writing import HERE, KINDS, Names, write
from graftlm.testing.choosing import suite_of
from graftlm.testing.judging import judge
from graftlm_registry.discovery import HOOKS
from graftlm_registry.plugins import registry

Run = Callable[..., Said]
NAMES = {"my-thing": "MyThing", "class": "Class", "none": "None", "3d": "Plugin3d", "a.b_c-9": "ABC9", "x--y": "XY"}


def test_there_is_an_example_of_every_kind() -> None:
    assert len(KINDS) == len(HOOKS) == 12
    assert {path.parent.name for path in HERE.glob("*/conformance.py")} == set(KINDS)


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_written_passes_its_suite_at_once(kind: str, run: Run, tmp_path: Path) -> None:
    said = run("plugins", "new", kind, f"my-{kind}", "--into", tmp_path)
    folder = tmp_path / f"graftlm-my-{kind}"
    assert said.code == 0, said.err
    assert said.out.splitlines()[-3:] == [
        f"  pip install -e '{folder}[test]'", f"  pytest {folder}", f"  graftlm plugins check {kind}/my-{kind}"
    ]  # fmt: skip
    with installed(folder):
        plugin, spec = registry().find(kind, f"my-{kind}")
        assert (plugin.distribution, plugin.problem) == (f"graftlm-my-{kind}", "")
        suite, unasked = suite_of(spec)
        assert suite.__module__ == f"graftlm_my_{kind}.conformance"
        assert unasked == ""
        verdicts = list(judge(suite))
    assert {
        v.check: v.reason for v in verdicts if not (v.state == "passed" or (v.state == "not asked" and v.optional))
    } == {}


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_of_the_example_s_names_is_left(kind: str, home: Path, tmp_path: Path) -> None:
    folder = write(kind, "zig.zag", tmp_path)
    paths = [path for path in folder.rglob("*") if path.is_file()]
    wanted = {
        "pyproject.toml", "README.md", ".github/workflows/test.yml", "tests/test_zig_zag.py",
        "graftlm_zig_zag/__init__.py", "graftlm_zig_zag/conformance.py",
    }  # fmt: skip
    assert wanted <= {path.relative_to(folder).as_posix() for path in paths}
    for path in paths:
        text = path.read_text(encoding="utf-8")
        assert not re.search(r"(?i)acme|\bKIND\b", f"{path.relative_to(folder)} {text}"), path
        if path.suffix == ".py":
            compile(text, path, "exec")


@pytest.mark.parametrize("name", NAMES)
def test_any_name_of_a_plugin_gives_names_of_code(name: str, home: Path, tmp_path: Path) -> None:
    folder = write("format", name, tmp_path)
    names = Names("format", name)
    assert folder.name == names.distribution
    assert re.fullmatch(r"graftlm-[a-z0-9]+(-[a-z0-9]+)*", names.distribution)
    assert names.package.isidentifier()
    assert names.prefix == NAMES[name]
    with installed(folder):
        suite, _ = suite_of(registry().find("format", name)[1])
        assert suite.__name__ == f"{NAMES[name]}Suite"
        (verdict,) = judge(suite, only=("test_it_alone_recognises_its_records",))
        assert verdict.state == "passed", verdict.reason
    test = folder / "tests" / f"test_{names.package.removeprefix('graftlm_')}.py"
    assert f"class Test{NAMES[name]}(conformance.{suite.__name__})" in test.read_text(encoding="utf-8")


REFUSED = {
    ("formats", "x"): ("unknown kind of plugin 'formats'", "Did you mean 'format'?"),
    ("format", "X"): ("'X' cannot be the name of a plugin", "lower-case"),
    ("format", "x-"): ("'x-' cannot be the name of a plugin", "both ends"),
    ("format", "a b"): ("cannot be the name of a plugin",),
    ("format", "é"): ("cannot be the name of a plugin",),
    ("format", "x" * 65): ("cannot be the name of a plugin", "64 at most"),
    ("format", "alpaca"): ("format 'alpaca' would be a duplicate", "graftlm (formats.alpaca)"),
    ("quantization", "int4"): ("quantization 'int4' would be a duplicate",),
    ("command", "train"): ("command 'train' would be a duplicate",),
    ("format", "plugins"): ("graftlm_plugins is installed already",),
    ("template", "registry"): ("graftlm_registry is installed already",),
}


@pytest.mark.parametrize(("kind", "name"), REFUSED)
def test_what_cannot_be_is_refused_in_a_sentence(kind: str, name: str, run: Run, tmp_path: Path) -> None:
    into = tmp_path / "here"
    into.mkdir()
    said = run("plugins", "new", kind, name, "--into", into)
    assert said.code == 2
    assert said.out == ""
    assert len(said.err.splitlines()) == 1
    for words in REFUSED[kind, name]:
        assert words in said.err
    assert list(into.iterdir()) == []


def test_a_name_that_another_distribution_has_is_a_duplicate(run: Run, tmp_path: Path) -> None:
    (tmp_path / "again").mkdir()
    with installed(write("format", "mine", tmp_path)):
        same = run("plugins", "new", "format", "mine", "--into", tmp_path / "again")
        other = run("plugins", "new", "template", "mine", "--into", tmp_path / "again")
    assert "format 'mine' would be a duplicate: graftlm-mine (mine) has it" in same.err
    assert "graftlm_mine is installed already" in other.err
    assert list((tmp_path / "again").iterdir()) == []


def test_nothing_is_written_over(run: Run, tmp_path: Path) -> None:
    (tmp_path / "graftlm-mine").write_text("mine", encoding="utf-8")
    said = run("plugins", "new", "format", "mine", "--into", tmp_path)
    assert said.code == 2
    assert "is there already, and nothing is written over" in said.err
    assert (tmp_path / "graftlm-mine").read_text(encoding="utf-8") == "mine"
    missing = run("plugins", "new", "format", "other", "--into", tmp_path / "nowhere")
    assert "there is no folder" in missing.err
    assert not (tmp_path / "nowhere").exists()


def test_a_folder_is_there_whole_or_not_at_all(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plain, into = writing.files, tmp_path / "here"
    into.mkdir()

    def full(names: Names) -> Iterator[Any]:
        for number, file in enumerate(plain(names)):
            if number == 4:
                raise OSError(28, "No space left on device")
            yield file

    with monkeypatch.context() as patch:
        patch.setattr(writing, "files", full)
        with pytest.raises(OSError, match="No space left"):
            write("format", "mine", into)
    assert list(into.iterdir()) == []
    assert write("format", "mine", into).is_dir()


def test_here_is_where_it_is_written(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    said = run("plugins", "new", "tracker", "mine")
    assert said.out.splitlines()[-3:-1] == ["  pip install -e './graftlm-mine[test]'", "  pytest ./graftlm-mine"]
    assert (tmp_path / "graftlm-mine" / "pyproject.toml").is_file()
