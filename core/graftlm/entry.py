"""The console script: so small that Ctrl-C finds no import to leave a traceback of."""

from __future__ import annotations

import sys


def main() -> None:
    try:
        from graftlm.cli import main as run

        run()
    except KeyboardInterrupt:
        sys.exit(130)
