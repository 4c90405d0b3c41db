"""graftlm's own code: is it the same in two processes?"""

from __future__ import annotations

import hashlib
from functools import lru_cache
from importlib.resources import files
from pathlib import Path

OWN = ("graftlm", "graftlm_plugins", "graftlm_registry")
"""The packages that graftlm consists of."""


@lru_cache(maxsize=1)
def code_digest() -> str:
    """Of graftlm's own sources, 16 hexadecimal digits."""
    whole = hashlib.sha256()
    for package in OWN:
        root = Path(str(files(package)))
        for path in sorted(root.rglob("*.py")):
            whole.update(f"{package}/{path.relative_to(root)}\0".encode() + path.read_bytes())
    return whole.hexdigest()[:16]
