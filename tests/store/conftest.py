"""What the proofs of the store share: a quick folder, and figures that are shown."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from graftlm_registry.adapters import AdapterStore

MEMORY = Path("/dev/shm")


@pytest.fixture
def quick(tmp_path: Path) -> Iterator[Path]:
    """An empty folder, in memory where there is such a place: thousands of stores are made and thrown away."""
    if not os.access(MEMORY, os.W_OK) or shutil.disk_usage(MEMORY).free < 1 << 29:
        yield tmp_path
        return
    folder = Path(tempfile.mkdtemp(prefix="graftlm-store-", dir=MEMORY))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def store(quick: Path) -> AdapterStore:
    return AdapterStore(quick / "store")


@pytest.fixture
def figures(request: pytest.FixtureRequest) -> Callable[[str], None]:
    """Say what was counted; ``pytest -rP`` shows it."""

    def say(text: str) -> None:
        print(f"FIGURES {request.node.name}: {text}")

    return say
