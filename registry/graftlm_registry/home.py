"""Where graftlm keeps what it keeps."""

from __future__ import annotations

import os
from pathlib import Path


def home() -> Path:
    """``$GRAFTLM_HOME``, or the platform's place for a user's data. It need not exist."""
    given = os.environ.get("GRAFTLM_HOME")
    if given:
        return Path(given).expanduser().resolve()
    from platformdirs import user_data_path

    return user_data_path("graftlm", appauthor=False)


def keep(path: Path, data: bytes) -> None:
    """Keep what can be found out again: whole or not at all, and not where it cannot be written."""
    fresh = path.with_name(f"{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        fresh.write_bytes(data)
        fresh.replace(path)
    except OSError:
        pass  # only a later start is slower
