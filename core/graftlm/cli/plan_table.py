"""A plan as people read it."""

from __future__ import annotations

import click

from graftlm.contracts.plan import EncodingPlan, Part, Plan

from .tables import table


def plan_table(plan: Plan) -> str:
    """Data, model, parts with their verdicts, and the numbers."""
    training, method = plan.training, plan.method
    shape = f"rank {method.rank}, alpha {method.alpha:g}, dropout {method.dropout:g}"
    weights = "pre-trained" if plan.model.weights == "files" else "random weights"
    splits = ", ".join(f"{split.rows} {split.name}" for split in plan.data.splits)
    scored = (
        ", ".join(f"{e.name} ({e.role}, {e.rows} rows)" for e in plan.evaluations) or "nothing: there are no test rows"
    )
    facts = [
        ("adapter", f"{plan.name} (a new version where the name is taken)"),
        ("data", f"{splits} rows"),
        ("model", f"{plan.model.name} ({plan.model.model_type}, {weights}, {plan.model.source})"),
        ("precision", f"{plan.dtype} on {plan.device}, {plan.attention} attention"),
        ("tuned", f"{method.name}, {shape}, on {', '.join(method.target_modules)}"),
        ("steps", f"{training.steps} of {training.batch_size} samples ({training.micro_batch} a forward pass)"),
        ("epochs", f"{training.epochs:g}"),
        (
            "learning rate",
            f"{training.learning_rate:g}, {training.schedule}, {training.warmup_steps} warm-up steps, AdamW",
        ),
        ("trained on", _trained_on(plan)),
        ("length", _length(plan.encoding)),
        (
            "validation",
            f"every {training.eval_every} steps"
            if plan.data.split("validation")
            else "none: there are no validation rows",
        ),
        ("scored", scored),
        ("hash", plan.hash[:16]),
    ]
    suggested = [f"{name} {plan.settings[name]}" for name, origin in plan.origins.items() if origin == "model"]
    if suggested:
        facts.insert(-1, ("suggested", f"by the model: {', '.join(suggested)}"))
    rows = [(p.kind, p.name, p.why, p.distribution, _verdict(p)) for p in plan.parts]
    below = [
        f"\n\n{click.style(f'{p.kind} {p.name}', fg='red')}: {problem}" for p in plan.parts for problem in _pictures(p)
    ]
    return f"{table(facts)}\n\n{table(rows, ('part', 'choice', 'why', 'from', 'verdict'))}{''.join(below)}"


def _trained_on(plan: Plan) -> str:
    what = {"assistant": "every answer", "last": "the last answer", "all": "all text"}[plan.encoding.train_on]
    thoughts = ", with its thoughts" if plan.encoding.thinking else ""
    own = {
        "same": ", as the model's own",
        "alike": ", as the model's own wherever it is asked",
        "other": ", NOT as the model's own",
        "none": "",
    }[plan.template.own]
    return f"{what}{thoughts}, in the words of {plan.template.name}{own}"


def _length(encoding: EncodingPlan) -> str:
    stops = " (a tenth of them stops the run)" if encoding.overlong == "drop" else ""
    said = {"drop": "left out", "error": "an error"}.get(encoding.overlong, encoding.overlong.replace("-", " on the "))
    return f"at most {encoding.max_length} tokens a sample, longer rows are {said.replace('truncate', 'cut')}{stops}"


def _verdict(part: Part) -> str:
    """What fits into a column."""
    if not part.problems:
        return part.verdict
    short = [problem for problem in part.problems if "\n" not in problem]
    return click.style("; ".join([*short, *["see below"] * bool(_pictures(part))]), fg="red")


def _pictures(part: Part) -> list[str]:
    """Problems of several lines, which must stay as they are: a caret points at what stands above it."""
    return [problem for problem in part.problems if "\n" in problem]
