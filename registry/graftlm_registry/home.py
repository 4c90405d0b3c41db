"""Where graftlm keeps what it keeps."""

from __future__ import annotations

import os
import shutil
import time
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


def sweep(folder: Path, days: float = 30) -> None:
    """Remove what nobody has used for so long. An entry's own time of change says when it was used last."""
    oldest = time.time() - days * 86_400
    for entry in folder.iterdir() if folder.is_dir() else ():
        try:
            if entry.stat().st_mtime < oldest:
                shutil.rmtree(entry) if entry.is_dir() else entry.unlink()
        except OSError:
            continue  # another process was faster
