"""A distribution that was written and not installed, found all the same."""

from __future__ import annotations

import importlib
import os
import sys
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from graftlm.testing.surroundings import variable
from graftlm_registry.plugins import registry


@contextmanager
def installed(folder: Path) -> Iterator[None]:
    """A distribution that was written, found by this process and those that it starts, as pip would have it."""
    project = tomllib.loads((folder / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    entries = "".join(f"{name} = {place}\n" for name, place in project["entry-points"]["graftlm.v1"].items())
    info = folder / f"{project['name'].replace('-', '_')}-{project['version']}.dist-info"
    info.mkdir()
    metadata = f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n"
    (info / "METADATA").write_text(metadata, encoding="utf-8")
    (info / "entry_points.txt").write_text(f"[graftlm.v1]\n{entries}", encoding="utf-8")
    paths = os.pathsep.join(filter(None, [str(folder), os.environ.get("PYTHONPATH", "")]))
    with variable("PYTHONPATH", paths):
        sys.path.insert(0, str(folder))
        importlib.invalidate_caches()
        registry.cache_clear()
        try:
            yield
        finally:
            sys.path.remove(str(folder))
            package = project["name"].replace("-", "_")
            for name in [name for name in sys.modules if name.partition(".")[0] == package]:
                del sys.modules[name]
            importlib.invalidate_caches()
            registry.cache_clear()
