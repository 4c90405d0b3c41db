"""The parts of a backend's environment: declared, known to be ready or not, repacked, overridden, linked, installed."""

from __future__ import annotations

import hashlib
import sys
import zipfile
from collections.abc import Iterator
from importlib.metadata import Distribution, distribution
from pathlib import Path
from typing import Any

import pytest
from env_pkg.workshop import EXAMPLE, OFFLINE, backend, environment, install, installed_in, knowing, made, pip, wheel

from graftlm.contracts.errors import PluginError, RunError
from graftlm.environments import torch_sharing
from graftlm.environments.declared import declared, find
from graftlm.environments.distributions import sources
from graftlm.environments.manifest import keep_manifest, read_manifest
from graftlm.environments.overriding import canonical, extras, overridden
from graftlm.environments.places import folder_of, manifest_of
from graftlm.environments.python_range import within
from graftlm.environments.repacking import repacked, write_wheel
from graftlm.environments.state import State, python_of, state_of
from graftlm_registry.plugins import registry


def digests(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file() and not {"__pycache__", "bin"} & set(path.parts)
    }


# A range of releases of Python


@pytest.mark.parametrize(
    ("version", "wanted", "answer"),
    [
        ("3.11.2", ">=3.11", True),
        ("3.11.2", ">=3.11,<3.14", True),
        ("3.14.0", ">=3.11,<3.14", False),
        ("3.9.18", ">=3.11", False),
        ("3.11.2", ">3.11", True),
        ("3.12.0rc1", " >= 3.12 , <= 3.13 ", True),
        ("3.12.1", "", True),
    ],
)
def test_a_release_is_within_a_range(version: str, wanted: str, answer: bool) -> None:
    assert within(version, wanted) is answer


def test_what_is_no_range_is_said() -> None:
    with pytest.raises(ValueError, match=r"'~=3\.11' is no comparison of releases"):
        within("3.11.2", ">=3.10,~=3.11")


# Overrides


def test_names_as_indexes_compare_them() -> None:
    assert [canonical(line) for line in ("Foo_Bar.baz >=1", "foo-bar-baz[x]==2; os_name=='nt'", "  ")] == [
        "foo-bar-baz", "foo-bar-baz", "",
    ]  # fmt: skip
    assert [extras(line) for line in ("trl[peft,vllm]==1", "trl==1; extra == 'x[1]'", "trl [a] >= 2")] == [
        "[peft,vllm]", "", "[a]",
    ]  # fmt: skip


def test_an_overridden_wheel_says_what_the_override_says(tmp_path: Path) -> None:
    says = ("Nowhere_To.be-had>=99", "numpy<1; python_version > '3'", 'numpy<1; extra == "old"', "click>=8")
    bare = wheel(tmp_path, "one", requires=says, files={"one/tool": b"#!/bin/sh\n", "one/__init__.py": b""})
    vendored = "aaa/_vendor/two-1.dist-info/METADATA"
    with zipfile.ZipFile(bare) as archive:
        contents = {n: archive.read(n) for n in archive.namelist() if not n.endswith("RECORD")}
    write_wheel({vendored: b"Name: two\n", **contents}, "one-1.0.dist-info", bare, {"one/tool"})
    instead = ('nowhere-to-be-had; python_version < "0"', "numpy>=1.26")
    assert overridden(bare, instead) == bare
    pip("install", *OFFLINE, "--target", tmp_path / "site", bare)  # pip checks the record
    found = installed_in(tmp_path / "site", "one")
    assert found.requires == [instead[0], "numpy>=1.26", 'numpy<1; extra == "old"', "click>=8"]
    assert "Requires-Dist: words of the description" in (found.read_text("METADATA") or "").partition("\n\n")[2]
    assert (tmp_path / "site" / vendored).read_bytes() == b"Name: two\n"
    assert (tmp_path / "site" / "one" / "tool").stat().st_mode & 0o111, "what can be run still can"
    with zipfile.ZipFile(bare) as archive:
        record = archive.read("one-1.0.dist-info/RECORD").decode().splitlines()
        assert sorted(line.partition(",")[0] for line in record) == sorted(archive.namelist())


def test_a_wheel_that_says_nothing_of_it_stays_as_it_is(tmp_path: Path) -> None:
    bare = wheel(tmp_path, "one", requires=("click>=8",))
    before = bare.read_bytes()
    assert overridden(bare, ("numpy>=1",)) == bare
    assert bare.read_bytes() == before


# Distributions as they are installed here


def test_a_repacked_distribution_installs_the_same_files(tmp_path: Path) -> None:
    there = distribution("pluggy")
    pip("install", *OFFLINE, "--target", tmp_path / "site", repacked(there, tmp_path))
    own = {"INSTALLER", "REQUESTED", "RECORD", "direct_url.json"}
    found = {n: d for n, d in digests(tmp_path / "site").items() if Path(n).name not in own}
    here = Path(str(there.locate_file("")))
    assert "pluggy/_hooks.py" in found
    assert found == {n: hashlib.sha256((here / n).read_bytes()).hexdigest() for n in found}
    assert {str(f) for f in there.files or ()} >= found.keys()


def test_a_wheel_for_two_pythons_and_one_that_vendors_others(tmp_path: Path) -> None:
    """Every tag counts, and the own .dist-info alone."""
    vendored = "aaa/_vendor/b-1.dist-info"
    two = wheel(tmp_path, "two", files={f"{vendored}/WHEEL": b"Tag: cp2-x-y\n", f"{vendored}/INSTALLER": b"b"})
    pip("install", *OFFLINE, "--target", tmp_path / "site", two)
    said = tmp_path / "site" / "two-1.0.dist-info" / "WHEEL"
    said.write_text("Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py2-none-any\nTag: py3-none-any\n")
    again = repacked(installed_in(tmp_path / "site", "two"), tmp_path)
    assert again.name == "two-1.0-py2.py3-none-any.whl"
    pip("install", *OFFLINE, "--target", tmp_path / "other", again)
    assert {path.name for path in (tmp_path / "other" / vendored).iterdir()} == {"WHEEL", "INSTALLER"}


def test_a_distribution_that_is_not_whole_is_said(tmp_path: Path) -> None:
    pip("install", *OFFLINE, "--target", tmp_path / "site", wheel(tmp_path, "one"))
    (tmp_path / "site" / "one.py").unlink()
    with pytest.raises(RunError, match=r"one is not whole here, one\.py cannot be read: install it again"):
        repacked(installed_in(tmp_path / "site", "one"), tmp_path)


@pytest.fixture
def example(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The folder that the example is installed in, on this process's path."""
    install(EXAMPLE, tmp_path / "site")
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    registry.cache_clear()
    yield tmp_path / "site"
    sys.modules.pop("graftlm_env_example", None)


def test_what_an_environment_gets_of_graftlm_and_plugins(example: Path, tmp_path: Path) -> None:
    own, plugin = sources(registry())
    assert (own.name, plugin.name, plugin.version, plugin.editable) == ("graftlm", "graftlm-env-example", "1.0", "")
    assert own.editable in ("", str(EXAMPLE.parents[1]))
    assert sources(registry()) == (own, plugin)
    changed = tmp_path / "changed" / "graftlm_env_example"
    changed.mkdir(parents=True)
    for path in EXAMPLE.rglob("*"):
        if path.is_file() and path.suffix in (".py", ".toml"):
            target = tmp_path / "changed" / path.relative_to(EXAMPLE)
            target.write_bytes(path.read_bytes() + (b"# changed\n" if path.name == "__init__.py" else b""))
    install(tmp_path / "changed", example)
    other = sources(registry())[1]
    assert (other.version, other.name) == (plugin.version, plugin.name)
    assert other.digest != plugin.digest


# Declared


def test_backends_may_share_an_environment(home: Path) -> None:
    one, other = backend("a", environment()), backend("b", environment())
    assert find("example", knowing(one, other)).backends == ("a", "b")


@pytest.mark.parametrize(
    "changes",
    [{"requirements": ("two",)}, {"overrides": ("numpy",)}, {"variables": {"A": "1"}}, {"imports": ("other",)}],
)
def test_one_name_for_two_environments_is_an_error(changes: dict[str, Any]) -> None:
    with pytest.raises(PluginError, match="backends a and b both name an environment 'example'"):
        declared(knowing(backend("a", environment()), backend("b", environment(**changes))))


def test_a_name_that_nobody_declares() -> None:
    with pytest.raises(PluginError, match=r"exampel.*example"):
        find("exampel", knowing(backend("a", environment())))


# Manifest and state


def a_state(changes: dict[str, Any] | None = None) -> State:
    """Of an environment that was made with these things otherwise."""
    known = knowing(backend("a", environment()))
    found = find("example", known)
    if changes is not None:
        there = {source.name: source.digest for source in sources(known)}
        python_of(folder_of("example")).parent.mkdir(parents=True, exist_ok=True)
        python_of(folder_of("example")).touch()
        keep_manifest(made(found, **{"sources": there, **changes}))
    return state_of(found, known)


def test_a_manifest_is_read_as_it_was_written(home: Path) -> None:
    folder_of("example").mkdir(parents=True)
    manifest = made(find("example", knowing(backend("a", environment()))), sources={"graftlm": "0"}, asked=("two",))
    keep_manifest(manifest)
    assert read_manifest("example") == manifest
    assert manifest.version("One") == "1.0"
    assert manifest.version("two") == ""
    manifest_of("example").write_text('{"name": "example", "python": "python3"}')
    assert read_manifest("example") is None, "of an older form"


def test_not_made_and_half_made(home: Path) -> None:
    assert (a_state().kind, a_state().problem) == (
        "not made",
        "runs in an environment of its own, which is not made yet "
        "(run: graftlm envs create example, which downloads about 120 MB, torch aside)",
    )
    folder_of("example").mkdir(parents=True)
    assert a_state().kind == "half made"
    assert "which is half made: making it was cut short (run: graftlm envs create" in a_state().problem


def test_ready(home: Path) -> None:
    state = a_state({})
    assert (state.kind, state.why, state.problem, state.told) == ("ready", "", "", "")
    assert state.interpreter().environment == "example"


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"declaration": "0"}, "its backend now declares other requirements"),
        ({"sources": {}}, "graftlm, which has plugins, was installed after it was made"),
        ({"sources": {"graftlm": "0"}}, "graftlm is another one than when it was made"),
    ],
)
def test_stale(changes: dict[str, Any], why: str, home: Path) -> None:
    state = a_state(changes)
    assert (state.kind, state.why) == ("stale", why)
    assert state.problem.startswith(f"runs in an environment of its own, which is stale: {why} (run: graftlm envs ")


def test_stale_where_its_python_is_gone(home: Path) -> None:
    a_state({})
    python_of(folder_of("example")).unlink()
    python_of(folder_of("example")).symlink_to(home / "gone")
    assert a_state().why == "the Python that it was made with is gone"


# Sharing torch


def test_torch_and_what_is_large_of_what_it_needs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By its companions' names, through a package that has their names alone, as extras."""
    site, vendor = tmp_path / "site", {"nvidia/__init__.py": b""}
    wheels = [
        wheel(tmp_path, "torch", requires=("nvidia-like; os_name == 'posix'", "tiny", "cuda-toolkit[x]", "triton")),
        wheel(tmp_path, "nvidia-like", files={**vendor, "nvidia/big.so": b"x" * 4000}),
        wheel(tmp_path, "cuda-toolkit", requires=("nvidia_inner>=1; extra == 'x'",)),
        wheel(tmp_path, "nvidia-inner", files={**vendor, "nvidia/inner.so": b"y" * 4000}),
        wheel(tmp_path, "tiny"),
    ]
    pip("install", *OFFLINE, "--no-compile", "--target", site, *wheels)
    monkeypatch.setattr(torch_sharing, "distribution", lambda name: _only(site, name))
    found = torch_sharing.shareable()
    assert [d.name for d in found] == ["torch", "nvidia-like", "cuda-toolkit", "nvidia-inner"]
    other = tmp_path / "other"
    linked = torch_sharing.share(found, other)
    assert (other / "nvidia" / "big.so").samefile(site / "nvidia" / "big.so")
    assert (other / "torch-1.0.dist-info" / "METADATA").is_file()
    assert linked == sum(path.stat().st_size for path in other.rglob("*") if path.is_file())
    before = digests(site)
    for path in [path for path in other.rglob("*") if path.is_file()]:
        path.unlink()
    assert digests(site) == before, "what is removed there stays here"


def test_another_file_system_gets_copies_which_count_as_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any) -> None:
        raise OSError(18, "Invalid cross-device link")

    pip("install", *OFFLINE, "--no-compile", "--target", tmp_path / "site", wheel(tmp_path, "torch"))
    monkeypatch.setattr(torch_sharing.os, "link", refuse)
    assert torch_sharing.share([_only(tmp_path / "site", "torch")], tmp_path / "other") == 0
    assert (tmp_path / "other" / "torch.py").read_bytes() == (tmp_path / "site" / "torch.py").read_bytes()


def _only(site: Path, name: str) -> Distribution:
    found = next(iter(Distribution.discover(name=name, path=[str(site)])), None)
    if found is None:
        raise torch_sharing.PackageNotFoundError(name)
    return found
