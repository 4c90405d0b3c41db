"""The ``lm-eval`` evaluator: tasks of lm-evaluation-harness, in an environment of its own."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from graftlm.api import Environment, Evaluator, Metric, Option, hookimpl

if TYPE_CHECKING:
    from graftlm.api import EvaluationResult, HarnessContext, TaskResult

FRACTIONS = (
    "acc", "acc_norm", "acc_bytes", "acc_mutual_info", "acc_all", "exact_match", "likelihood", "f1", "em", "pass@1",
)  # fmt: skip
"""The harness's metrics that are shares; it gives no units."""
UNITS = {"bleu": "BLEU", "chrf": "chrF", "chrf++": "chrF++", "ter": "TER", "bits_per_byte": "bits per byte"}
NO_FILTER = "none"


def run(context: HarnessContext) -> Iterator[TaskResult]:
    """Each task by itself, so that a job that was stopped goes on with the next."""
    from graftlm.api import TaskResult

    from .lm_eval_tasks import Harness

    harness = Harness(context)
    for name, task in harness.tasks.items():
        if name in context.known:
            yield TaskResult(name=name)
            continue
        metrics, result = translated(harness.samples(name), task.aggregation(), task.higher_is_better())
        yield TaskResult(name=name, metrics=metrics, result=result)


def translated(
    samples: Sequence[Mapping[str, Any]], aggregations: Mapping[str, Any], higher: Mapping[str, bool]
) -> tuple[tuple[Metric, ...], EvaluationResult]:
    """The harness's samples, one a question and filter, as an evaluator's result, one sample a question.

    A metric goes by the harness's name for it, with the filter's behind a comma where the task has one. One that it
    sums up by a mean is each question's number; another is summed up anew by the harness's own function wherever an
    interval resamples the questions.
    """
    from graftlm.api import EvaluationResult

    asked: dict[int, list[Mapping[str, Any]]] = {}
    given: dict[tuple[str, str], dict[int, Any]] = {}
    for sample in samples:
        asked.setdefault(sample["doc_id"], []).append(sample)
        for metric in sample["metrics"]:
            given.setdefault((metric, sample["filter"]), {})[sample["doc_id"]] = sample[metric]
    rows = sorted(asked)
    metrics: list[Metric] = []
    values: dict[str, float] = {}
    each: dict[str, Sequence[float]] = {}
    summed: dict[str, tuple[Any, list[Any]]] = {}
    for (metric, filter_name), by_row in given.items():
        if len(by_row) < len(rows):
            print(f"{metric} is given for {len(by_row)} of {len(rows)} questions: it is left out")
            continue
        name = metric if filter_name == NO_FILTER else f"{metric},{filter_name}"
        items = [by_row[row] for row in rows]
        sum_up = aggregations.get(metric)
        if sum_up is None or getattr(sum_up, "__name__", "") == "mean":
            each[name] = [float(item) for item in items]
            values[name] = sum(each[name]) / len(items)
        else:
            summed[name] = (sum_up, items)
            values[name] = float(sum_up(items))
        unit = "fraction" if metric in FRACTIONS else UNITS.get(metric, "")
        metrics.append(Metric(name=name, unit=unit, higher_is_better=higher.get(metric, True)))

    def over(chosen: Any) -> dict[str, float]:
        return {name: float(sum_up([items[i] for i in chosen])) for name, (sum_up, items) in summed.items()}

    return tuple(metrics), EvaluationResult(
        values=values,
        samples=tuple(_sample(row, asked[row]) for row in rows),
        each=each,
        over=over if summed else None,
    )


def _sample(row: int, theirs: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """What was asked, what was answered, and what each filter made of it."""
    first = theirs[0]
    return {
        "question": row,
        "doc": plain(first["doc"]),
        "target": plain(first["target"]),
        "asked": plain(first["arguments"]),
        "answered": plain(first["resps"]),
        "filtered": {sample["filter"]: plain(sample["filtered_resps"]) for sample in theirs},
    }


def plain(value: Any) -> Any:
    """As JSON has it; what JSON has no form for, as its text."""
    if isinstance(value, Mapping):
        return {str(key): plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [plain(inner) for inner in value]
    if value is None or isinstance(value, bool | int | float | str):
        return value
    return value.item() if hasattr(value, "item") else str(value)


@hookimpl
def graftlm_evaluators() -> Iterable[Evaluator]:
    yield Evaluator(
        name="lm-eval",
        summary="tasks of lm-evaluation-harness, yours or its own, in an environment of its own",
        metrics=(),
        target="graftlm_plugins.evaluators.lm_eval:run",
        own_tasks=True,
        options=(
            Option(
                name="tasks", type="list", default=(),
                help="Names of tasks, groups or tags: of DATA, where it has them, else the harness's own. Empty: all "
                "of DATA.",
            ),
            Option(
                name="shots", type="int", default=None, minimum=0,
                help="Examples before each question. Empty: as the task says, else none. A task that says 0 gets none.",
            ),
            Option(
                name="chat", type="str", default="auto", choices=("auto", "on", "off"),
                help="Ask in the words of the template that a model is trained in. auto: where the base's files have "
                "a chat template.",
            ),
            Option(name="batch_size", type="int", default=8, minimum=1, help="Questions a forward pass."),
        ),
        environment=Environment(
            name="lm-eval",
            requirements=(
                "torch>=2.11,<2.14", "transformers>=5.17,<5.24", "peft>=0.21,<0.22", "accelerate",
                "lm-eval>=0.4.13,<0.4.14",
            ),
            variables={"HF_HUB_DISABLE_TELEMETRY": "1", "HF_UPDATE_DOWNLOAD_COUNTS": "0"},
            download_mb=130,
            imports=("torch", "transformers", "peft", "lm_eval", "lm_eval.models.huggingface"),
        ),
    )  # fmt: skip
