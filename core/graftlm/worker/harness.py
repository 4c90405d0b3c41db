"""The job ``harness``: an evaluator scores a model on tasks of its own, each kept as soon as it is scored."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from graftlm.chat_templates.binding import bound, own_template
from graftlm.contracts.conversation import Conversation, Message, RenderOptions
from graftlm.contracts.errors import RunError
from graftlm.contracts.evaluated import HarnessJob
from graftlm.contracts.evaluating import TaskResult
from graftlm.contracts.job import Answerer
from graftlm.contracts.serial import from_json, to_json
from graftlm.contracts.specs import Evaluator, PromptTemplate
from graftlm.encoding.tokenizing import SpanTokenizer
from graftlm.source import code_digest
from graftlm_registry.home import beside
from graftlm_registry.plugins import registry

from .events import Events
from .generation import stop_ids
from .kept import answering_model
from .measured import Measured
from .targets import resolve_target

TASKS, SCORES = "tasks.json", "scores.json"


@dataclass(frozen=True)
class Context:
    """The ``HarnessContext`` of a job."""

    who: Answerer
    options: Mapping[str, Any]
    folder: Path
    tasks: Path | None
    scratch: Path
    own_template: bool
    stops: Sequence[int]
    known: Collection[str]
    template: PromptTemplate
    thinking: bool
    checkpoint: Callable[[], None]
    progress: Callable[[str, int, int], None]

    def render(self, messages: Sequence[Message], answer: bool) -> str:
        words = RenderOptions(generation_prompt=True, thinking=self.thinking)
        begun = self.lead + messages[-1].content if answer else ""
        asked = Conversation(tuple(messages[:-1] if answer else messages))
        return "".join(span.text for span in self.template.render(asked, words)) + begun

    @cached_property
    def model(self) -> Any:
        """Loaded once it is asked for: what is wrong with the tasks is said before."""
        self.progress("load", 0, 0)
        return answering_model(self.who).eval()

    @cached_property
    def lead(self) -> str:
        """Of an answer that stands for itself: a letter."""
        question, letter = Message("user", "?"), "x"
        asked = self.render([question], False)
        words = RenderOptions(thinking=self.thinking)
        answered = Conversation((question, Message("assistant", letter)))
        whole = "".join(span.text for span in self.template.render(answered, words))
        return whole.removeprefix(asked).partition(letter)[0] if whole.startswith(asked) else ""


def harness_job(folder: Path, events: Events) -> None:
    """Carry out ``FOLDER/job.json``."""
    job = from_json((folder / "job.json").read_bytes(), HarnessJob, "the job")
    if job.code != code_digest():
        raise RunError(
            f"the worker of {job.evaluator} has another graftlm than this one: run it again, and where that does not "
            "help, make its environment anew (graftlm envs create NAME --again)"
        )
    spec = registry().get(Evaluator, job.evaluator)
    target = resolve_target(spec.target)
    kept = Path(job.folder)
    with own_template(Path(job.who.model), job.who.today) as own:
        template = bound(registry().get(PromptTemplate, job.who.template), own)
        context = Context(
            who=job.who,
            options=job.options,
            folder=Path(job.who.model),
            tasks=Path(job.tasks) if job.tasks else None,
            scratch=folder,
            own_template=bool(own.chat_template),
            stops=stop_ids(SpanTokenizer.from_folder(Path(job.who.model)), template.stop_tokens),
            known={path.parent.name for path in kept.glob(f"*/{SCORES}")},
            template=template,
            thinking=job.who.thinking,
            checkpoint=events.checkpoint,
            progress=events.progress,
        )
        names = [_keep(each, spec, job, kept) for each in target(context)]
    _write(kept / TASKS, names)
    events.send("done")


def _keep(found: TaskResult, spec: Evaluator, job: HarnessJob, kept: Path) -> str:
    """The scores are written last: a task that has them is whole."""
    folder = kept / found.name
    if found.result is not None:
        folder.mkdir(parents=True, exist_ok=True)
        rows = len(found.result.samples)
        measured = Measured(found.name, "new", replace(spec, metrics=found.metrics), found.result, rows)
        measured.write(folder / f"{spec.name}.jsonl")
        _write(folder / SCORES, measured.scores(job.moment))
    return found.name


def _write(path: Path, value: Any) -> None:
    fresh = beside(path)
    fresh.write_bytes(to_json(value))
    fresh.replace(path)
