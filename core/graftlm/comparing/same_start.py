"""Order and initial weights, made once for all cells that compute the same, and given to every backend alike."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

from graftlm.contracts.plan import Plan
from graftlm.contracts.serial import digest

from .parity import claim
from .results import Inputs


def same_start(plan: Plan, run: Path, place: Path, make: Callable[[], object]) -> Inputs:
    """Put order and initial weights into the run: kept in ``place`` since the first cell of the class, for which
    ``make`` made them.
    """
    kept = place / digest([claim(plan), plan.device])[:32]
    if not kept.is_dir():
        make()
        partial = kept.with_name(f"{kept.name}.{os.getpid()}")
        shutil.rmtree(partial, ignore_errors=True)
        shutil.copytree(run / "initial", partial)
        shutil.copyfile(run / "encoded" / "order.json", partial / "order.json")
        partial.rename(kept)
    else:
        (run / "initial").mkdir()
        for file in kept.iterdir():
            shutil.copyfile(file, (run / "encoded" if file.name == "order.json" else run / "initial") / file.name)
    rows = run / "encoded" / "train.safetensors"
    return Inputs(
        ids=_tensors_digest(rows, ("ids", "offsets")),
        labels=_tensors_digest(rows, ("labels",)),
        order=hashlib.sha256((run / "encoded" / "order.json").read_bytes()).hexdigest()[:16],
        initial=_tensors_digest(run / "initial" / "adapter.safetensors"),
    )


def _tensors_digest(path: Path, names: Sequence[str] = ()) -> str:
    """Of these tensors, or of all: their bytes, whatever else the file says. Empty where there is no file."""
    if not path.is_file():
        return ""
    found = hashlib.sha256()
    with path.open("rb") as file:
        size = int.from_bytes(file.read(8), "little")
        header = json.loads(file.read(size))
        for name in names or sorted(header.keys() - {"__metadata__"}):
            begin, end = header[name]["data_offsets"]
            file.seek(8 + size + begin)
            found.update(f"{name} {header[name]['dtype']} {header[name]['shape']}".encode() + file.read(end - begin))
    return found.hexdigest()[:16]
