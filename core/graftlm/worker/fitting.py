"""The job ``fit``: an adapter that no run of graftlm trained is put onto its base, measured and proved."""

from __future__ import annotations

import gc
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from graftlm.contracts.errors import RunError, UsageError
from graftlm.contracts.job import Answerer, FitJob
from graftlm.contracts.outcome import Effective, Proof
from graftlm.contracts.serial import from_json, to_builtins

from .digest import base_digest
from .effective import loaded_base, measured
from .events import Events
from .generation import positions
from .kept import checked, tuner_of
from .load import Base, load_base
from .proof import compared, text_logits, texts_as_ids

ADVICE = "it was never trained, or it is for another base"


def fit_job(folder: Path, events: Events) -> None:
    """Carry out ``FOLDER/job.json``; the last event holds what was measured, and the proof."""
    job = from_json((folder / "job.json").read_bytes(), FitJob, "the job")
    who = job.who
    if who.kept is None:
        raise UsageError("there is no adapter to put onto the base")
    files, tuner = Path(who.kept.folder), tuner_of(who.kept)
    effective, proof = prove_files(who, job.texts, lambda base: tuner.apply(base, files), "adapter", ADVICE, events)
    events.send("done", effective=to_builtins(effective), proof=to_builtins(proof))


def prove_files(
    who: Answerer,
    texts: Sequence[str],
    make: Callable[[Any], Any],
    name: str,
    advice: str,
    events: Events,
) -> tuple[Effective, Proof]:
    """What ``make`` puts onto a base, called ``name``, against the base without it, and against the files of ``who`` on
    a base that is loaded afresh. The files need be there only once ``make`` has returned.

    Raises ``RunError`` where the adapter has no effect, the files are another one, or the base changed.
    """
    assert who.kept is not None
    folder, tuner = Path(who.model), tuner_of(who.kept)
    events.progress("load", 0, 2)
    base = base_of(who)
    asked = [ids[-positions(base.model) :] for ids in texts_as_ids(folder, texts)]
    before = base_digest(base.model)
    untuned = text_logits(base.model, asked, who.device)
    made = text_logits(make(base.model), asked, who.device)
    del base
    gc.collect()
    events.checkpoint()
    events.progress("load again", 1, 2)
    base = base_of(who)
    after = base_digest(base.model)
    if after != before:
        raise RunError("the base's weights are others than when they were loaded first")
    loaded, alone = loaded_base(base, after), _scalars(base.model)
    tuned = tuner.apply(base.model, Path(who.kept.folder))
    effect, reload = compared(untuned, (name, made), text_logits(tuned, asked, who.device), advice)
    own = _scalars(tuned) - alone
    return (
        measured(tuned, loaded, tuner, own),
        Proof(effect=effect, reload=reload, base_before=before, base_after=after),
    )


def base_of(who: Answerer) -> Base:
    """The bare base, drawn first where it has no weights; its RoPE and weights are those that its adapter wants."""
    if who.weights == "random":
        from .random_weights import random_weights

        random_weights(Path(who.model))
    base = load_base(who.load, Path(who.model), who.device)
    if who.kept is not None:
        checked(base.model, who.kept)
    return base


def _scalars(model: Any) -> int:
    return sum(p.numel() for p in model.parameters())
