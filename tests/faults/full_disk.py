"""A run on a disk that is full from some event on, then has room again: run inside ``unshare``, on a small tmpfs.

    python full_disk.py HOME DATA MOMENT

Prints JSON: the sentence, warnings, the digest and losses of a run on a disk with room, and of the one that was gone on
with.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from graftlm.contracts.config import RunConfig
from graftlm.contracts.errors import GraftlmError
from graftlm.planning.resolve import resolve
from graftlm.running.supervise import supervise
from graftlm.running.train import carry_out, prepare
from graftlm_registry.adapters import open_store
from graftlm_registry.plugins import registry

MOMENTS: Mapping[str, Mapping[str, Any]] = {
    "encode": {},
    "first step": {"event": "metric", "step": 1},
    "second checkpoint": {"event": "metric", "step": 3},
    "staging": {"event": "checkpoint", "step": 6},
    "publishing": {"event": "done"},
}


def fill(filler: Path) -> None:
    """Every last byte."""
    with filler.open("ab", buffering=0) as file:
        for size in (1 << 20, 1 << 12, 1):
            try:
                while True:
                    file.write(b"x" * size)
            except OSError:
                continue


def main(home: Path, data: str, moment: str) -> None:
    asked = RunConfig(
        data=data, model="tiny-mistral", max_steps=6, eval_every=3, batch_size=4, micro_batch=2, val_split=0.2,
        learning_rate=5e-3, dropout=0.1, checkpoint_every=2, keep="best", retention=False, device="cpu", name="full",
    )  # fmt: skip
    plan = resolve(asked, registry())
    whole = carry_out(plan, registry(), lambda event: None).outcome
    before = [record.reference for record in open_store().records(lambda error: None)]
    run = prepare(plan, registry())
    heard: list[Mapping[str, Any]] = []
    filler = home / "filler"
    enough = threading.Event()

    def hear(event: Mapping[str, Any]) -> None:
        heard.append(event)
        wanted = MOMENTS[moment]
        last = event["event"] != "done" or "outcome" in event
        if wanted and last and all(event.get(key) == value for key, value in wanted.items()):
            fill(filler)
            threading.Thread(target=keep_full, daemon=True).start()

    def keep_full() -> None:
        """What a failed write gives back is taken, too."""
        while not enough.is_set():
            fill(filler)
            time.sleep(0.01)

    if moment == "encode":
        for path in (home / "cache" / "encoded").iterdir():
            for file in path.iterdir():
                file.unlink()
            path.rmdir()
        fill(filler)
    said, kind, left = "", "", list[str]()
    try:
        supervise(run, registry(), hear)
    except GraftlmError as error:
        said, kind = str(error), type(error).__name__
    checkpoints = run.checkpoints().steps()
    newest = run.checkpoints().newest()
    left = [path.name for path in open_store().layout.staging.iterdir()]
    enough.set()
    time.sleep(0.2)
    filler.unlink(missing_ok=True)
    made = run.outcome() if run.finished else supervise(run, registry(), lambda event: None).outcome
    assert made is not None
    known = [record.reference for record in open_store().records(lambda error: None)]
    print(
        json.dumps(
            {
                "said": said,
                "kind": kind,
                "warnings": [event["message"] for event in heard if event["event"] == "warning"],
                "steps": [event["step"] for event in heard if event["event"] == "metric"],
                "checkpoints": checkpoints,
                "newest": newest.step if newest else 0,
                "left": left,
                "same": (made.digest, made.losses, made.validation) == (whole.digest, whole.losses, whole.validation),
                "resumed": made.resumed,
                "kept": all(reference in known for reference in before),
                "published": len(known) - len(before),
            }
        )
    )


if __name__ == "__main__":
    os.environ["GRAFTLM_HOME"] = sys.argv[1]
    main(Path(sys.argv[1]), sys.argv[2], sys.argv[3])
