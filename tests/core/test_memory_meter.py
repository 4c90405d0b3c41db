"""What a process takes is its own, whoever started it."""

from __future__ import annotations

import subprocess
import sys

CHILD = "from graftlm.worker.memory import peak_of_process; print(peak_of_process())"
LARGE = f"""
import subprocess, sys
kept = bytearray(b"1") * (2 << 30)
print(subprocess.run([sys.executable, "-c", {CHILD!r}], check=True, capture_output=True, text=True).stdout)
"""


def test_a_large_process_starts_a_small_one() -> None:
    """As from a notebook that holds a model."""
    small, beside_large = (
        int(subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout)
        for code in (CHILD, LARGE)
    )
    assert small > 100 << 20  # torch
    assert beside_large < small + (200 << 20)
