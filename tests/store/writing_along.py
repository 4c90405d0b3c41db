"""One of many writers: ``python writing_along.py STORE WHO COUNT HOW``, HOW being plain, no-locks or no-links."""

from __future__ import annotations

import errno
import os
import sys
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
NAMES = ("skill", "other", "third", "fourth")


def refuse(*_: Any, **__: Any) -> None:
    raise OSError(errno.EPERM, os.strerror(errno.EPERM))


def main(root: str, who: int, count: int, how: str) -> None:
    sys.path[:0] = [str(HERE.parent), str(HERE)]
    import fcntl

    from kept_adapters import publish

    from graftlm_registry.adapters import AdapterStore

    if how in ("no-locks", "no-links"):
        fcntl.flock = fcntl.lockf = refuse
    if how == "no-links":
        os.link = refuse
    store = AdapterStore(Path(root))
    print("ready", flush=True)
    sys.stdin.readline()
    for turn in range(count):
        # every fourth has files that the others publish too
        seed = turn if turn % 4 == 0 else 1000 * (who + 1) + turn
        record = publish(store, name=NAMES[(who + turn) % len(NAMES)], run=f"run-{who}-{turn}", seed=seed)
        print(record.reference, record.run, record.digest)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4])
