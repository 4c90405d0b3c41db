"""An adapter that no run of graftlm trained, proved on its base; and the prompts that logits are compared on."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from graftlm.chat_templates.binding import bound, own_template
from graftlm.contracts.conversation import Conversation, Message, RenderOptions
from graftlm.contracts.job import Answerer, FitJob
from graftlm.contracts.outcome import Effective, Proof
from graftlm.contracts.record import AdapterRecord
from graftlm.contracts.serial import from_json, to_json
from graftlm.contracts.specs import PromptTemplate
from graftlm_registry.home import home
from graftlm_registry.plugins import Registry

from .worker_process import OnEvent, StartWorker, run_worker

PROMPTS = ("Hello!", "What is a cloud?", "Count from one to five.", "Is this good or bad?\nI liked every minute of it.")
"""Asked where no run has test questions of its own, or where they are gone."""
MOST_TEXTS = 16


def prove_fit(
    who: Answerer, texts: tuple[str, ...], on_event: OnEvent, start: StartWorker = run_worker
) -> tuple[Effective, Proof]:
    """What ``who``'s adapter is on its base, as a worker measured it.

    Raises ``RunError`` where it does not fit its base, or changes nothing.
    """
    return measured_by("fit", FitJob(who=who, texts=texts), on_event, start)


def measured_by(name: str, job: Any, on_event: OnEvent, start: StartWorker) -> tuple[Effective, Proof]:
    """The worker's job of that name, whose last event has both."""
    done = carried_out(name, job, on_event, start)
    what = "the worker's report"
    return (
        from_json(json.dumps(done["effective"]), Effective, what),
        from_json(json.dumps(done["proof"]), Proof, what),
    )


def carried_out(name: str, job: Any, on_event: OnEvent, start: StartWorker) -> Mapping[str, Any]:
    """The last event of a job that a worker carries out in a temporary folder."""
    folder = Path(tempfile.mkdtemp(prefix="graftlm-"))
    try:
        (folder / "job.json").write_bytes(to_json(job))
        return start(name, folder, on_event)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def texts_for(who: Answerer, registry: Registry) -> tuple[str, ...]:
    """A few prompts in the words of ``who``'s template; the base's files must be there."""
    options = RenderOptions(generation_prompt=True, thinking=who.thinking)
    with own_template(Path(who.model), who.today) as own:
        template = bound(registry.get(PromptTemplate, who.template), own)
        asked = (template.render(Conversation((Message("user", prompt),)), options) for prompt in PROMPTS)
        return tuple("".join(span.text for span in spans) for spans in asked)


def held_out(record: AdapterRecord) -> tuple[str, ...]:
    """Rendered questions that training never saw, where the run's folder still has them."""
    found: list[str] = []
    if not record.run:
        return ()
    for path in sorted((home() / "runs" / record.run / "samples").glob("new.*.after.jsonl")):
        with path.open(encoding="utf-8") as file:
            rows = (json.loads(line) for line in file)
            found += [row["question"] for row in rows if isinstance(row, dict) and isinstance(row.get("question"), str)]
    step = max(1, len(found) // MOST_TEXTS)
    return tuple(found[::step][:MOST_TEXTS])
