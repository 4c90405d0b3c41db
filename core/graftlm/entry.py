"""The console script: so small that Ctrl-C finds no import to leave a traceback of."""

from __future__ import annotations

import gc
import sys


def main() -> None:
    gc.set_threshold(100_000, 20, 100)  # imports make many objects and no garbage: looking for it took 3% of a start
    try:
        from graftlm.cli import main as run

        run()
    except KeyboardInterrupt:
        sys.exit(130)
