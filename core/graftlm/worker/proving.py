"""The job ``prove``: the base loaded afresh, bare and with the staged adapter: compared, and scored."""

from __future__ import annotations

import gc
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from graftlm.chat_templates.binding import bound, own_template
from graftlm.contracts.conversation import Conversation, RenderOptions, Span
from graftlm.contracts.job import TrainJob
from graftlm.contracts.outcome import Change, Outcome, Proof, Score, Training
from graftlm.contracts.plan import Plan
from graftlm.contracts.serial import to_builtins
from graftlm.contracts.services import Tuner
from graftlm.contracts.specs import PromptTemplate
from graftlm.encoding.rows import load_rows
from graftlm.encoding.tokenizing import SpanTokenizer
from graftlm_registry.adapters.content import content_digest
from graftlm_registry.plugins import registry

from .events import Events
from .run_files import RunFiles
from .targets import resolve_target

if TYPE_CHECKING:
    import torch

    from .measured import Measured, Moment


def prove_job(run: Path, events: Events, trained: torch.Tensor | None = None) -> None:
    """What is scored is what is kept: before is the bare base, after the base with the staged files. ``trained`` are
    the logits of what was trained; another process left them in the run's folder.
    """
    started = time.perf_counter()
    files = RunFiles(run)
    plan, job, training = files.plan(), files.job(), files.trained()
    events.progress("prove", 0, 1)
    before = training.base_digest if job.proves else files.known_digest()
    with own_template(Path(job.model), plan.template.today) as own:
        template = bound(registry().get(PromptTemplate, plan.template.name), own)
        logits = files.trained_logits() if trained is None else trained
        proof, scored = _Proving(plan, job, files, events, template).carry_out(logits, before)
    outcome = _outcome(plan, job, training, proof, scored, training.total_seconds + time.perf_counter() - started)
    events.send("done", outcome=to_builtins(outcome))


class _Proving:
    def __init__(self, plan: Plan, job: TrainJob, files: RunFiles, events: Events, template: PromptTemplate) -> None:
        self.plan, self.files, self.events, self.template = plan, files, events, template
        self.job, self.folder, self.staged = job, Path(job.model), Path(job.staged)
        self.tokenizer = SpanTokenizer.from_folder(self.folder)

    def carry_out(self, trained: torch.Tensor, base_before: str) -> tuple[Proof, _Scored]:
        from .load import load_base
        from .measured import changes
        from .proof import prove

        tuner: Tuner = resolve_target(self.plan.part("method").target)()
        rows = load_rows(self.files.encoded / "train.safetensors")
        gc.collect()
        with self.events.at_once():
            base = load_base(self.plan.load, self.folder, self.plan.device).model
        before: list[Measured] = []

        def score_base(model: Any) -> None:
            self._show(model, "before")
            before.extend(self._measured(model, "before"))

        device = self.plan.device
        tuned, proof = prove(trained, base, base_before, tuner, self.staged, rows, device, score_base)
        if self.job.answers:
            found = self._answers(tuned, self.files.rows(self.job.answers))  # for a comparison of what was trained
            self.files.answers.write_text(json.dumps(found), encoding="utf-8")
        self._show(tuned, "after")
        after = self._measured(tuned, "after")
        scores = [score for each in before for score in each.scores("before")]
        scores += [score for each in after for score in each.scores("after")]
        return proof, _Scored(tuple(scores), tuple(changes(before, after)))

    def _show(self, model: Any, moment: Moment) -> None:
        """Answers for people to look at, where no test rows are answered."""
        if self.job.shown and (rows := self.files.rows(self.job.shown)):
            self.events.progress(f"answer {moment}", 0, 1)
            asked = ("".join(span.text for span in self._asked(row)) for row in rows)
            self.files.show(moment, zip(asked, (row.answer for row in rows), self._answers(model, rows), strict=True))

    def _answers(self, model: Any, rows: Sequence[Conversation]) -> list[str]:
        """Greedy ones."""
        from .generation import greedy, stop_ids

        prompts = [self.tokenizer.encode(self._asked(row)).ids for row in rows]
        stops = stop_ids(self.tokenizer, self.template.stop_tokens)
        most = self.job.answer_tokens
        found = greedy(model, prompts, stops, most, self.plan.device, self.events.checkpoint)
        return [self.tokenizer.decode(ids) for ids in found]

    def _asked(self, row: Conversation) -> Sequence[Span]:
        thinking = self.plan.encoding.thinking
        return self.template.render(row.prompt, RenderOptions(generation_prompt=True, thinking=thinking))

    def _measured(self, model: Any, moment: Moment) -> list[Measured]:
        from .asking import Asked
        from .evaluation import evaluate, evaluators_of

        count = sum(len(evaluators_of(self.plan, evaluation)) for evaluation in self.plan.evaluations)
        done = count * (moment == "after")

        def progress(what: str) -> None:
            nonlocal done
            self.events.progress(f"score {what}", done, 2 * count)
            done += 1

        asked = Asked(
            model, self.plan.device, self.template, self.tokenizer, self.plan.encoding,
            self.plan.options.get("evaluator", {}), self.events.checkpoint,
        )  # fmt: skip
        return evaluate(self.plan, self.files.run, asked, moment, progress, self.events.warning)


@dataclass(frozen=True, slots=True)
class _Scored:
    scores: tuple[Score, ...]
    changes: tuple[Change, ...]


def _outcome(plan: Plan, job: TrainJob, training: Training, proof: Proof, scored: _Scored, total: float) -> Outcome:
    return Outcome(
        run=job.run,
        plan_hash=plan.hash,
        first_loss=training.losses[0],
        losses=training.losses,
        validation=training.validation,
        kept_step=training.kept_step,
        spikes=training.spikes,
        resumed=training.resumed,
        too_large=training.too_large,
        stopped_early=training.stopped_early,
        tokens=training.tokens,
        seconds=training.seconds,
        tokens_per_second=training.tokens / training.seconds,
        total_seconds=total,
        encoding=training.encoding,
        effective=training.effective,
        proof=proof,
        scores=scored.scores,
        staged=job.staged,
        digest=content_digest(Path(job.staged)),
        memory=training.memory,
        changes=scored.changes,
    )
