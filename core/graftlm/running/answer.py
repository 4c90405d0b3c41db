"""Answers from a base model, or through an adapter of the store."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path

from graftlm.contracts.config import AUTO
from graftlm.contracts.errors import UsageError
from graftlm.contracts.job import GenerateJob
from graftlm.contracts.record import AdapterRecord
from graftlm.contracts.serial import to_json
from graftlm_registry.adapters import open_store
from graftlm_registry.adapters.names import PATTERN
from graftlm_registry.plugins import Registry

from .answerers import of_adapter, of_model
from .stored import stored
from .worker_process import OnEvent, StartWorker, run_worker


def answer(
    name: str,
    prompts: Sequence[str],
    registry: Registry,
    on_event: OnEvent,
    max_new_tokens: int,
    *,
    template: str = AUTO,
    thinking: str = "",
    system: str = "",
    start: StartWorker | None = None,
) -> list[str]:
    """Greedy answers of ``name``, an adapter (``name`` or ``name@version``) or else a model.

    ``template`` and ``thinking`` (``on`` or ``off``, which is what empty means) are for a model: an adapter's record
    says both. ``system`` is a system text that comes before each prompt.
    """
    store = open_store()
    record = store.get(name) if is_adapter(name) else None
    if record is None:
        who = of_model(name, registry, template, thinking)
    else:
        refuse_other_words(record, template, thinking)
        who = of_adapter(stored(record, store, registry), registry)
    job = GenerateJob(who=who, prompts=tuple(prompts), max_new_tokens=max_new_tokens, system=system)
    folder = Path(tempfile.mkdtemp(prefix="graftlm-"))
    try:
        (folder / "job.json").write_bytes(to_json(job))
        return list((start or run_worker)("generate", folder, on_event)["answers"])
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def is_adapter(name: str) -> bool:
    """An adapter of the store comes first; a name that is neither is looked up as a model, whose error names both."""
    bare = name.partition("@")[0]
    return PATTERN.fullmatch(bare) is not None and bare in open_store().names()


def refuse_other_words(record: AdapterRecord, template: str, thinking: str) -> None:
    if template != AUTO:
        raise UsageError(f"{record.reference} answers in the template that it was trained with, '{record.template}'")
    if thinking:
        raise UsageError(
            f"{record.reference} was trained {'with' if record.thinking else 'without'} thinking, and answers so: "
            "leave --thinking out"
        )
