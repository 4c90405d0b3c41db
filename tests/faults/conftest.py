"""What the fault tests share: the store's tools to cut things short, and a plugin that breaks runs."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
for folder in (HERE, HERE.parent / "store"):  # a package, so that its conftest hides no other
    sys.path.append(str(folder))


@pytest.fixture
def faulty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], None]]:
    """``faulty("nan-loss 5")``: the accelerator ``faulty`` does that, here and in processes that are started; see
    ``graftlm_faulty``. It is installed as a stranger's distribution is.
    """
    folder = tmp_path / "faulty"
    metadata = folder / "graftlm_faulty-0.5.dist-info"
    metadata.mkdir(parents=True)
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: graftlm-faulty\nVersion: 0.5\n")
    (metadata / "entry_points.txt").write_text("[graftlm.v1]\nfaulty = graftlm_faulty\n")
    (folder / "graftlm_faulty.py").symlink_to(HERE / "faulty_pkg" / "graftlm_faulty.py")
    monkeypatch.syspath_prepend(folder)
    monkeypatch.setenv("PYTHONPATH", str(folder), prepend=":")
    from graftlm_registry.plugins import registry

    registry.cache_clear()
    yield lambda fault: monkeypatch.setenv("GRAFTLM_FAULT", fault)
    sys.modules.pop("graftlm_faulty", None)
