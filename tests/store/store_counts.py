"""How often the proofs of the store try: whole with ``GRAFTLM_STORE_COUNTS=whole`` (``make test-store``), else less."""

from __future__ import annotations

import os

WHOLE = os.environ.get("GRAFTLM_STORE_COUNTS") == "whole"


def count(*, short: int, whole: int) -> int:
    return whole if WHOLE else short
