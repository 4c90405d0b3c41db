"""Scoring a model, before and after, through the evaluators of the plan."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import torch

from graftlm.contracts.conversation import Conversation, Message, RenderOptions
from graftlm.contracts.errors import RunError
from graftlm.contracts.outcome import Score
from graftlm.contracts.plan import EncodingPlan, Evaluation, Plan
from graftlm.contracts.services import EvaluationResult
from graftlm.contracts.specs import Evaluator, PromptTemplate
from graftlm.data.rows import read_row
from graftlm.encoding.samples import SampleMaker
from graftlm.encoding.tokenizing import IGNORED, Encoded, SpanTokenizer
from graftlm_registry.plugins import registry

from . import intervals
from .generation import greedy, inference, positions, stop_ids
from .targets import resolve_target


class Evaluating:
    """One evaluation of one model (the ``EvaluationContext`` of an evaluator)."""

    def __init__(
        self,
        evaluation: Evaluation,
        options: Mapping[str, Any],
        path: Path,
        model: Any,
        device: str,
        template: PromptTemplate,
        tokenizer: SpanTokenizer,
        encoding: EncodingPlan,
        checkpoint: Callable[[], None],
    ) -> None:
        self.evaluation, self.options = evaluation, options
        with path.open("rb") as file:
            rows = map(read_row, file)
            self._rows = [row for row in rows if evaluation.capability in (None, row.capability)]
        self._model, self._device = model, device
        self._template, self._tokenizer, self._checkpoint = template, tokenizer, checkpoint
        self._encoding, self._thinking = encoding, encoding.thinking
        self._asked = RenderOptions(generation_prompt=True, thinking=encoding.thinking)
        if len(self._rows) != evaluation.rows:
            raise RunError(f"{path} has {len(self._rows)} rows, and the plan says {evaluation.rows}")

    def questions(self) -> Sequence[str]:
        return ["".join(span.text for span in self._template.render(row.prompt, self._asked)) for row in self._rows]

    def references(self) -> Sequence[str]:
        return [self._reference(row) for row in self._rows]

    def _reference(self, row: Conversation) -> str:
        """What is to be said; a call of a tool, as the template writes it."""
        if not row.messages[-1].tool_calls:
            return self._template.said(row.answer)
        spans = self._template.render(row, RenderOptions(thinking=self._thinking))
        begin = max(i for i, s in enumerate(spans) if s.answer and not (i and spans[i - 1].answer))
        said = [s.text for s in spans[begin:] if s.answer and s.text != self._template.end_token]
        return self._template.said("".join(said))

    @cached_property
    def longest_reference(self) -> int:
        """Tokens of the longest right answer, its thoughts and its end token included, with room for a space."""
        whole = [row.answer for row in self._rows] if self._thinking else []
        return max(len(self._tokenizer.words(text)) for text in (*self.references(), *whole)) + 2

    def generate(self, max_new_tokens: int) -> list[str]:
        prompts = [self._tokenizer.encode(self._template.render(row.prompt, self._asked)).ids for row in self._rows]
        stops = stop_ids(self._tokenizer, self._template.stop_tokens)
        answers = greedy(self._model, prompts, stops, max_new_tokens, self._device, self._checkpoint)
        decoded = [self._tokenizer.decode(answer).strip() for answer in answers]
        return [self._template.said(answer) for answer in decoded] if self._thinking else decoded

    def answer_losses(self, answers: Sequence[str] | None = None) -> list[tuple[float, int]]:
        """A long text in several samples, as in training; a conversation whole, where the model can read it."""
        room = replace(self._encoding, max_length=positions(self._model), overlong="drop", train_on="assistant")
        texts = replace(self._encoding, overlong="drop")
        makers = [SampleMaker(self._template, self._tokenizer, plan) for plan in (room, texts)]
        found = []
        with inference(self._model):
            for row in self._answered(answers):
                self._checkpoint()
                losses = [self._loss(sample) for sample in makers[row.is_document].samples(row).samples]
                found.append((sum(loss for loss, _ in losses), sum(count for _, count in losses)))
        return found

    def _answered(self, answers: Sequence[str] | None) -> Iterator[Conversation]:
        """The rows, with these answers in the place of their own."""
        for i, row in enumerate(self._rows):
            said = [] if answers is None else [Message("assistant", answers[i])]
            yield replace(row.prompt, messages=(*row.prompt.messages, *said)) if said else row

    def _loss(self, sample: Encoded) -> tuple[float, int]:
        ids = torch.tensor([sample.ids], device=self._device)
        labels = torch.tensor(sample.labels, device=self._device)[1:]
        logits = self._model(input_ids=ids, use_cache=False).logits[0, :-1]
        trained = labels != IGNORED
        loss = torch.nn.functional.cross_entropy(logits[trained].float(), labels[trained], reduction="sum")
        return loss.item(), int(trained.sum())


def evaluate(
    plan: Plan,
    run: Path,
    model: Any,
    device: str,
    template: PromptTemplate,
    tokenizer: SpanTokenizer,
    moment: Literal["before", "after"],
    checkpoint: Callable[[], None],
    progress: Callable[[str], None],
) -> list[Score]:
    """Every evaluation by every evaluator; the samples are kept in ``RUN/samples``."""
    scores: list[Score] = []
    for evaluation in plan.evaluations:
        path = Path(evaluation.path) if evaluation.path else run / "data" / "test.jsonl"
        for part in plan.all_parts("evaluator"):
            progress(f"{evaluation.name} {moment}")
            spec = registry().get(Evaluator, part.name)
            options = plan.options.get("evaluator", {})
            context = Evaluating(
                evaluation, options, path, model, device, template, tokenizer, plan.encoding, checkpoint
            )
            result = resolve_target(spec.target)(context)
            folder = run / "samples"
            folder.mkdir(exist_ok=True)
            with (folder / f"{evaluation.role}.{evaluation.name}.{spec.name}.{moment}.jsonl").open(
                "w", encoding="utf-8"
            ) as file:
                file.writelines(json.dumps(sample, ensure_ascii=False) + "\n" for sample in result.samples)
            bounds = _intervals(result, len(result.samples))
            scores += [
                Score(
                    evaluation=evaluation.name,
                    role=evaluation.role,
                    metric=metric.name,
                    moment=moment,
                    value=result.values[metric.name],
                    n=evaluation.rows,
                    unit=metric.unit,
                    higher_is_better=metric.higher_is_better,
                    **bounds.get(metric.name, {}),
                )
                for metric in spec.metrics
            ]
    return scores


def _intervals(result: EvaluationResult, rows: int) -> Mapping[str, Mapping[str, Any]]:
    """Fields of a ``Score``, by metric."""
    found: dict[str, Mapping[str, Any]] = {}
    if not rows:
        return found
    for name, values in result.each.items():
        if intervals.is_share(values):
            low, high = intervals.wilson(sum(values), len(values))
            found[name] = {"low": low, "high": high, "interval": "wilson"}
        else:
            low, high = intervals.bootstrap_of_mean(values)
            found[name] = {"low": low, "high": high, "interval": "bootstrap", "seed": intervals.SEED}
    for name, (low, high) in (intervals.bootstrap(rows, result.over) if result.over else {}).items():
        found[name] = {"low": low, "high": high, "interval": "bootstrap", "seed": intervals.SEED}
    return found
