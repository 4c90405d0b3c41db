"""The job ``merge``: an adapter becomes part of its base's weights, and the written model is read again."""

from __future__ import annotations

import gc
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from graftlm.contracts.errors import RunError, StoreError
from graftlm.contracts.job import MergeJob
from graftlm.contracts.serial import from_json

from .events import Events
from .generation import positions
from .kept import checked, tuner_of
from .load import load_base
from .proof import text_logits, texts_as_ids

LOST = 0.5
"""Largest share of the adapter's effect that merging may lose."""


def merge_job(folder: Path, events: Events) -> None:
    """Carry out ``FOLDER/job.json``; the last event holds the largest differences of logits."""
    job = from_json((folder / "job.json").read_bytes(), MergeJob, "the job")
    texts = texts_as_ids(Path(job.model), job.texts)
    if job.weights == "random":
        from .random_weights import random_weights

        random_weights(Path(job.model))
    events.progress("load", 0, 3)
    base = checked(load_base(job.load, Path(job.model), job.device).model, job.kept)
    texts = [ids[-positions(base) :] for ids in texts]
    plain = text_logits(base, texts, job.device)
    tuner = tuner_of(job.kept)
    tuned = tuner.apply(base, Path(job.kept.folder))
    adapted = text_logits(tuned, texts, job.device)
    events.progress("merge", 1, 3)
    merged = tuner.merge(tuned)
    _save(merged, Path(job.out))
    del base, tuned, merged
    gc.collect()
    events.progress("read again", 2, 3)
    # what was written says itself how its RoPE is scaled
    written = load_base(replace(job.load, rope=None), Path(job.out), job.device).model
    checked(written, replace(job.kept, weights_digest=""))  # its RoPE
    again = text_logits(written, texts, job.device)
    difference, effect = float((adapted - again).abs().max()), float((adapted - plain).abs().max())
    if not (effect > 0 and difference <= LOST * effect):
        raise RunError(
            f"the merged model's logits differ from the adapter's by {difference:.3g}, and the adapter's whole effect "
            f"in {job.load.dtype} is {effect:.3g}: merge in a higher precision (--dtype fp32)"
        )
    events.send("done", difference=difference, effect=effect, texts=len(texts), tokens=len(again))


def _save(model: Any, out: Path) -> None:
    """Safetensors and the configuration. Every weight must be a number."""
    for name, parameter in model.named_parameters():
        if not bool(torch.isfinite(parameter).all()):
            raise RunError(f"merging made {name} infinite or no number: merge in a higher precision (--dtype fp32)")
    needed = sum(p.numel() * p.element_size() for p in model.parameters())
    free = shutil.disk_usage(out).free
    if needed > free:
        raise StoreError(f"the merged model takes {_size(needed)}, and {out.parent} has {_size(free)} free")
    model.save_pretrained(out)


def _size(count: int) -> str:
    return f"{count / 2**30:.1f} GiB" if count >= 2**30 else f"{count / 2**20:.1f} MiB"
