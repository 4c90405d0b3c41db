"""What the tests of environments share: graftlm and an example as wheels, a folder of wheels for pip, a manifest."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

from graftlm.contracts.specs import Backend, Environment
from graftlm.environments.declared import Declared
from graftlm.environments.manifest import Manifest
from graftlm.environments.overriding import canonical
from graftlm.environments.repacking import repacked, write_wheel
from graftlm_registry.plugins import Registry

EXAMPLE = Path(__file__).resolve().parent
ROOT = EXAMPLE.parents[1]
OFFLINE = ("--no-deps", "--no-index", "--disable-pip-version-check", "--quiet")
NEEDED = ("graftlm", "numpy", "nvidia-ml-py", "psutil", "safetensors", "torch", "transformers", "peft")
IMPOSSIBLE = ("nowhere-to-be-had>=99", "numpy<1")
"""What the example's dependency says it requires; the example overrides both."""


def pip(*arguments: str | Path) -> None:
    command = [sys.executable, "-m", "pip", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def install(source: Path, site: Path) -> None:
    """A project, built by pip and installed into a folder; or a wheel."""
    pip("install", *OFFLINE, "--no-build-isolation", "--no-compile", "--upgrade", "--target", site, source)


def install_graftlm_and_example(site: Path) -> None:
    """As from an index: not editable, which would have pip build it again in each environment."""
    built = site.with_name("built")
    pip("wheel", *OFFLINE, "--no-build-isolation", "-w", built, ROOT, EXAMPLE)
    for one in built.iterdir():
        install(one, site)


def knowing(*backends: Backend) -> Registry:
    """A registry of backends, whose plugins are of no distribution."""
    return cast(Registry, SimpleNamespace(all=lambda kind: [b for b in backends if isinstance(b, kind)], plugins=()))


def installed_in(site: Path, name: str) -> Distribution:
    (found,) = Distribution.discover(name=name, path=[str(site)])
    return found


def wheel(folder: Path, name: str, *, requires: Sequence[str] = (), files: Mapping[str, bytes] | None = None) -> Path:
    """A wheel of release 1.0, with an extra ``fast``, that holds a module or these files."""
    module = name.replace("-", "_")
    info = f"{module}-1.0.dist-info"
    metadata = ["Metadata-Version: 2.1", f"Name: {name}", "Version: 1.0", "Provides-Extra: fast"]
    metadata += [f"Requires-Dist: {line}" for line in requires]
    contents = {
        **(files if files is not None else {f"{module}.py": b'GREETING = "hello"\n'}),
        f"{info}/METADATA": "\n".join([*metadata, "", "Requires-Dist: words of the description", ""]).encode(),
        f"{info}/WHEEL": b"Wheel-Version: 1.0\nGenerator: a test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    return write_wheel(contents, info, folder / f"{module}-1.0-py3-none-any.whl")


def wheelhouse(folder: Path) -> Path:
    """What a worker needs, torch aside, as it is installed here, and the example's own dependency."""
    folder.mkdir()
    waiting, seen = list(NEEDED), {""}
    for line in waiting:
        name = canonical(line)
        if name in seen or "extra" in line.partition(";")[2]:
            continue
        seen.add(name)
        try:
            found = distribution(name)
        except PackageNotFoundError:
            continue  # by its marker it is for another Python or system
        waiting += found.requires or ()
        if name not in ("torch", "graftlm"):
            repacked(found, folder)
    wheel(folder, "env-example-dep", requires=IMPOSSIBLE)
    return folder


def pip_offline(monkeypatch: Any, wheels: Path) -> None:
    """pip knows this folder and nothing else, and compiles nothing ahead."""
    for name in ("PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL", "PIP_CONSTRAINT", "PIP_TARGET"):
        monkeypatch.delenv(name, raising=False)
    settings = {"PIP_CONFIG_FILE": "/dev/null", "PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(wheels), "PIP_COMPILE": "0"}
    for name, value in settings.items():
        monkeypatch.setenv(name, value)


def environment(**changes: Any) -> Environment:
    given: dict[str, Any] = {"name": "example", "requirements": ("one==1.0",), "download_mb": 120}
    return Environment(**{**given, **changes})


def backend(name: str, own: Environment) -> Backend:
    return Backend(name=name, summary="for a test", target="nowhere:Nothing", environment=own)


def made(declared: Declared, **changes: Any) -> Manifest:
    """The manifest of an environment of which nothing else is there."""
    given: dict[str, Any] = {
        "name": declared.environment.name, "python": sys.executable, "declaration": declared.digest,
        "sources": {}, "packages": {"one": "1.0"}, "torch": "shared", "installer": "pip",
        "created": "2026-11-22T20:00:00+00:00", "seconds": 3.0, "bytes": 4_000_000,
    }  # fmt: skip
    return Manifest(**{**given, **changes})


def words(text: str) -> str:
    """In one line, however it was wrapped."""
    return re.sub(r"\s+", " ", text)
