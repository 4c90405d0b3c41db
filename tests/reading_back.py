"""What the tests of containers share: reading a file with its lines, and what ends it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from graftlm.contracts.errors import DataError
from graftlm.data.containers import read_records


def row(text: str, output: str = "an answer") -> dict[str, str]:
    return {"instruction": text, "output": output}


def read(path: Path, label: str = "d") -> tuple[list[Any], list[int]]:
    """Records, and the lines that their places name."""
    found = list(read_records(path, label))
    assert all(place.rpartition(":")[0] == label for _, place in found)
    lines = [place.rpartition(":")[2].partition(" (record ")[0] for _, place in found]
    return [record for record, _ in found], list(map(int, lines))


def raised(path: Path) -> str:
    """What ends the file, as it is said of a file ``d``."""
    with pytest.raises(DataError) as caught:
        list(read_records(path, "d"))
    return str(caught.value)
