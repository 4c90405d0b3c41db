"""Candidates of a combination on rows of their parents: the base is loaded once, and everybody is asked the same."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, cast

from graftlm.chat_templates.binding import bound, own_template
from graftlm.contracts.combining import CombineJob, CombiningTuner, Trial, TrialRows, TrialScore, TrialSubject
from graftlm.contracts.conversation import Conversation
from graftlm.contracts.errors import RunError, UsageError
from graftlm.contracts.specs import Evaluator, PromptTemplate
from graftlm.data.rows import read_row
from graftlm.encoding.tokenizing import SpanTokenizer
from graftlm_registry.plugins import registry

from .asking import Asked, Asking
from .events import Events
from .fitting import base_of
from .kept import tuner_of
from .measured import Measured
from .targets import resolve_target

Adapted = Callable[[Any], Any]
"""From the bare base to who answers."""


def score_all(job: CombineJob, trial: Trial, events: Events) -> list[TrialSubject]:
    """The bare base, the parents, and the candidates, in order."""
    if job.who.kept is None:
        raise UsageError("there is no method to combine by")
    tuner, folder = cast(CombiningTuner, tuner_of(job.who.kept)), Path(job.who.model)
    subjects = list(_subjects(job, trial, tuner))
    events.progress("load", 0, len(subjects))
    base = base_of(job.who).model
    rows = [_rows(asked) for asked in trial.asked]
    found = []
    with own_template(folder, job.who.today) as own:
        template = bound(registry().get(PromptTemplate, job.who.template), own)
        tokenizer = SpanTokenizer.from_folder(folder)

        def scored(model: Any) -> TrialSubject:
            return TrialSubject(
                scores=tuple(
                    _score(
                        asked,
                        theirs,
                        Asked(
                            model, job.who.device, template, tokenizer, asked.encoding, asked.options, events.checkpoint
                        ),
                    )
                    for asked, theirs in zip(trial.asked, rows, strict=True)
                )
            )

        for number, (name, adapted) in enumerate(subjects):
            events.checkpoint()
            events.progress(f"score {name}", number, len(subjects))
            if adapted is None:
                found.append(scored(base))
                continue
            try:
                model = adapted(base)
            except RunError as error:  # one that cannot be made is no reason to lose the others
                found.append(TrialSubject(problem=str(error)))
                continue
            found.append(scored(model))
            base = tuner.bare(model)
    return found


def _subjects(job: CombineJob, trial: Trial, tuner: CombiningTuner) -> Iterator[tuple[str, Adapted | None]]:
    yield "the base", None
    folders = [Path(parent) for parent in job.parents]
    for folder, asked in zip(folders, trial.asked, strict=True):
        yield asked.name, partial(tuner.apply, folder=folder)
    for plan in trial.candidates:
        yield plan.combination, partial(tuner.combine, parents=folders, plan=plan)


def _score(asked: TrialRows, rows: Sequence[Conversation], model: Asked) -> TrialScore:
    """By the first metric that tells what each row is worth."""
    spec = registry().get(Evaluator, asked.evaluator)
    result = resolve_target(spec.target)(Asking(model, rows))
    measured = Measured(asked.name, "new", spec, result, asked.count).sound()
    for score in measured.scores("after"):
        if score.metric in result.each:
            return TrialScore(score=score, each=tuple(float(value) for value in result.each[score.metric]))
    raise UsageError(
        f"the rows of {asked.name} are scored by {spec.name}, which does not tell what each of them is worth: there is "
        "nothing to choose by (exact-match, for one, tells)"
    )


def _rows(asked: TrialRows) -> Sequence[Conversation]:
    with Path(asked.rows).open("rb") as file:
        rows = [read_row(line) for line in file]
    if len(rows) != asked.count:
        raise RunError(f"{asked.rows} has {len(rows)} rows, and {asked.count} were to be scored")
    return rows
