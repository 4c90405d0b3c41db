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
