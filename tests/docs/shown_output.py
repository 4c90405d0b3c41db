"""Is what a page shows what a command printed, figures aside?"""

from __future__ import annotations

import re
from collections.abc import Sequence

ANY = "…"
"""On a line of its own, any lines; in a line, any words."""
MASKS = (
    (r"/\S+/runs/\d{8}-\d{6}-[0-9a-f]{6}", "RUN"),
    (r"\b[0-9a-f]{12,}\b", "DIGEST"),
    (r"[-+−]?\d[\d,.:]*", "#"),
    (r" (?:worse|better)\b", ""),
    (r"\b(?:KiB|MiB|GiB|ms|s)\b", "UNIT"),
    (r"^lost: .*", "lost:"),  # what was lost most differs from machine to machine
    (r"[ ─]+", " "),
)


def masked(line: str) -> str:
    for pattern, word in MASKS:
        line = re.sub(pattern, word, line)
    return line.strip()


def missing(shown: Sequence[str], out: str) -> str:
    """The first line that is shown and was not said, or nothing: in order, and one after the other but for ``ANY``."""
    said = iter([line for line in map(masked, out.splitlines()) if line])
    skipping = False
    for line in (line for line in shown if line.strip()):
        if line.strip() == ANY:
            skipping = True
            continue
        wanted = re.escape(masked(line)).replace(ANY, ".*")
        for found in said:
            if re.fullmatch(wanted, found):
                break
            if not skipping:
                return f"{line!r} is shown, and said was {found!r}"
        else:
            return f"{line!r} was not said"
        skipping = False
    return ""
