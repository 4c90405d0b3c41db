"""``graftlm demo``: a new capability for a small model, from data to a kept adapter, in a minute."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING

import click

from .scores import pairs

if TYPE_CHECKING:
    from graftlm.contracts.outcome import Outcome, Score
    from graftlm.running.train import Trained


@click.command()
@click.option("--model", default="tiny-mistral", show_default=True, metavar="M", help="A built-in model.")
@click.option(
    "--skill", default="sentiment", show_default=True, metavar="NAME", help="What to teach: sentiment, subjects."
)
@click.option("--backend", default="peft", show_default=True, metavar="NAME", help="What trains.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object, and nothing else.")
def demo(model: str, skill: str, backend: str, as_json: bool) -> None:
    """Teach a small model something new on shipped data, and see what it cost the old skills."""
    from graftlm.contracts.config import RunConfig
    from graftlm.contracts.errors import UsageError
    from graftlm.planning.resolve import resolve
    from graftlm.running.train import carry_out, refuse
    from graftlm_registry.demos import demo_data
    from graftlm_registry.models import catalogue
    from graftlm_registry.plugins import registry

    from .progress import Progress

    started = time.monotonic()
    if catalogue().entry(model.removeprefix("shape:")).folder is None or model.startswith("shape:"):
        raise UsageError(f"--model {model}: the demo is for models that come with graftlm (graftlm models list)")
    data = demo_data(skill)
    config = RunConfig(
        data=str(data.train), val_data=str(data.validation), test_data=str(data.test), model=model, backend=backend,
        name=f"{skill}-{model}", max_steps=data.steps,
    )  # fmt: skip
    plan = resolve(config, registry())
    refuse(plan)
    if not as_json:
        rows = ", ".join(f"{split.rows} {split.name}" for split in plan.data.splits)
        click.echo(f"{model} has never been asked: {data.question}")
        click.echo(f"training a LoRA adapter with {backend} on {rows} rows …")
    with Progress(quiet=as_json) as progress:
        trained = carry_out(plan, registry(), progress.on_event)
    seconds = time.monotonic() - started
    if as_json:
        click.echo(json.dumps(_summary(trained, model, skill, seconds)))
        return
    _tell(trained, skill, data.example, seconds)


def _summary(trained: Trained, model: str, skill: str, seconds: float) -> dict[str, object]:
    scores = _exact_matches(trained.outcome)
    new = next(pair for pair in scores if pair[0].role == "new")
    return {
        "model": model,
        "adapter": trained.record.reference,
        "seconds": round(seconds, 1),
        "new_skill": {"name": skill, "before": new[0].value, "after": new[1].value, "n": new[0].n},
        "old_skills": {
            before.evaluation: {"before": before.value, "after": after.value, "n": before.n}
            for before, after in scores
            if before.role == "old"
        },
    }


def _exact_matches(outcome: Outcome) -> list[tuple[Score, Score]]:
    """Exact match before and after, by evaluation."""
    return [pair for pair in pairs(outcome.scores) if pair[0].metric == "exact-match"]


def _tell(trained: Trained, skill: str, example: str, seconds: float) -> None:
    from graftlm.running.answer import answer
    from graftlm_registry.plugins import registry

    from .results import outcome_text
    from .tables import table

    click.echo(outcome_text(trained))
    name = trained.record.reference
    question, shown = example.replace("\n", " "), example.replace("\n", "\\n")
    answered = answer(name, [example], registry(), lambda event: None, 32)[0]
    click.echo(f"\n{question}\n  {click.style(answered, bold=True)}\n")
    rows = [
        ("ask it", f"graftlm generate {trained.record.name} $'{shown}'"),
        ("look at it", f"graftlm adapters show {trained.record.name}"),
        ("another base", "graftlm demo --model tiny-qwen"),
        ("your own data", "graftlm train data.jsonl --model tiny-mistral --name my-skill"),
    ]
    click.echo(table(rows))
    click.echo(f"\n{seconds:.0f} s in all")
