"""How often the fault tests try: whole with ``GRAFTLM_FAULT_COUNTS=whole`` (``make test-faults``), else less."""

from __future__ import annotations

import os

WHOLE = os.environ.get("GRAFTLM_FAULT_COUNTS") == "whole"


def count(*, short: int, whole: int) -> int:
    return whole if WHOLE else short
