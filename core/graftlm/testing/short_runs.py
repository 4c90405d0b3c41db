"""Whole runs of the built-in tiny models, in this process."""

from __future__ import annotations

import atexit
import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from graftlm.contracts.config import RunConfig
from graftlm.contracts.plan import Plan
from graftlm.planning.resolve import resolve
from graftlm.running.train import Trained, carry_out
from graftlm_registry.home import home
from graftlm_registry.plugins import registry

from .in_process import start_in_process

FOUND = ("probes", "cache/chat-templates")
"""Folders of a home: what this machine is, and what the models' own chat templates say. Both take a process."""


def plan(folder: Path, **settings: Any) -> Plan:
    """Forty rows of ``folder``, twelve steps of tiny-mistral in fp32 on a CPU, but for ``settings``."""
    share_what_is_found()
    data = folder / "rows.jsonl"
    if not data.is_file():
        rows = ({"input": f"Name the colour of thing {i}.", "output": ("red", "blue")[i % 2]} for i in range(40))
        data.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    asked: Mapping[str, Any] = {
        "model": "tiny-mistral", "max_steps": 12, "batch_size": 8, "micro_batch": 8, "warmup": 0.0, "dtype": "fp32",
        "device": "cpu", "retention": False, "val_split": 0.0, "test_split": 0.0, "seed": 3, **settings,
    }  # fmt: skip
    return resolve(RunConfig(data=str(data), **asked), registry())


def trained(planned: Plan) -> Trained:
    """Planned, trained, proved and published; fails where something speaks against the plan."""
    assert not planned.problems, f"a short run cannot be planned: {'; '.join(planned.problems)}"
    return carry_out(planned, registry(), lambda event: None, start=start_in_process)


def share_what_is_found() -> None:
    """Homes come and go, and what is found out of a machine and the built-in models is the same in each."""
    for name in FOUND:
        known, here = _found() / name, home() / name
        known.mkdir(parents=True, exist_ok=True)
        if not here.exists():
            here.parent.mkdir(parents=True, exist_ok=True)
            here.symlink_to(known, target_is_directory=True)


@cache
def _found() -> Path:
    folder = TemporaryDirectory(prefix="graftlm-found-", ignore_cleanup_errors=True)
    atexit.register(folder.cleanup)
    return Path(folder.name)
