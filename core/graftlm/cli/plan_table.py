"""A plan as people read it."""

from __future__ import annotations

import click

from graftlm.contracts.config import AUTO
from graftlm.contracts.load import LoadPlan
from graftlm.contracts.plan import EncodingPlan, MemoryPlan, MethodPlan, Part, Plan, Split

from .option_words import option_words
from .tables import size, table

LARGE = 1 << 30
SUGGESTERS = {"model": "by the model", "method": "by the method"}


def plan_table(plan: Plan) -> str:
    """Data, model, parts with their verdicts, and the numbers."""
    training, method = plan.training, plan.method
    weights = "pre-trained" if plan.model.weights == "files" else "random weights"
    step = training.step_size + " samples" * bool(training.batch_size)
    packed = ", in one row without padding" if training.packing else ""
    splits = ", ".join(_split(plan, split) for split in plan.data.splits)
    scored = (
        ", ".join(f"{e.name} ({e.role}, {e.rows} rows)" for e in plan.evaluations) or "nothing: there are no test rows"
    )
    facts = [
        ("adapter", f"{plan.name} (a new version where the name is taken)"),
        ("data", f"{splits} rows"),
        *([("chosen", chosen)] if (chosen := _chosen(plan)) else []),
        ("model", f"{plan.model.name} ({plan.model.model_type}, {weights}, {plan.model.source})"),
        ("precision", _precision(plan)),
        *([("rope", str(plan.load.rope))] if plan.load.rope else []),
        *([("environment", _environment(plan))] if plan.environment else []),
        ("tuned", tuned(method)),
        ("steps", f"{training.steps} of {step} ({_micro_batch(plan)} a forward pass{packed})"),
        ("epochs", f"{training.epochs:g}"),
        (
            "learning rate",
            f"{training.learning_rate:g}, {training.schedule}, {training.warmup_steps} warm-up steps",
        ),
        ("optimizer", _optimizer(plan)),
        ("trained on", _trained_on(plan)),
        ("length", _length(plan.encoding)),
        ("validation", _validation(plan)),
        ("checkpoints", _checkpoints(plan)),
        ("scored", scored),
        *([("tracked", _tracked(plan))] if plan.all_parts("tracker") else []),
        *([("memory", _memory(plan.memory))] if plan.memory else []),
        ("hash", plan.hash[:16]),
    ]
    for who, named in SUGGESTERS.items():
        suggested = [f"{name} {plan.settings[name]}" for name, origin in plan.origins.items() if origin == who]
        if suggested:
            facts.insert(-1, ("suggested", f"{named}: {', '.join(suggested)}"))
    rows = [(p.kind, p.name, p.why, p.distribution, _verdict(p)) for p in plan.parts]
    below = [
        f"\n\n{click.style(f'{p.kind} {p.name}', fg='red')}: {problem}" for p in plan.parts for problem in _pictures(p)
    ]
    noted = "".join(f"\n\n{click.style('note', fg='yellow')}: {note}" for note in plan.notes)
    return f"{table(facts)}\n\n{table(rows, ('part', 'choice', 'why', 'from', 'verdict'))}{''.join(below)}{noted}"


def _split(plan: Plan, split: Split) -> str:
    """``1,000 train (200 of them replayed from old-skills)``."""
    replayed = plan.data.replayed if split.name == "train" else 0
    of_them = f" ({replayed:,} of them replayed from {plan.settings['replay']})" if replayed else ""
    return f"{split.rows:,} {split.name}{of_them}"


def _chosen(plan: Plan) -> str:
    """What was asked of the training rows, or nothing where all of them are trained on."""
    size, capability = plan.settings.get("data_size"), plan.settings.get("capability")
    rows = [f"{size:,} of the training rows that there are"] if size is not None else []
    of = [f"capability '{capability}' alone, scored on all test rows"] if capability is not None else []
    return ", ".join([*rows, *of])


def _environment(plan: Plan) -> str:
    """Its name, and what is there, where it is made."""
    if not plan.lock:
        return plan.environment
    watched = ("transformers", "peft", plan.part("backend").name)
    versions = ", ".join(f"{name} {v}" for name in watched if (v := plan.probe.versions.get(name)))
    return f"{plan.environment} ({versions}; lock {plan.lock}); proved and scored in this one"


def tuned(method: MethodPlan) -> str:
    """The method with its settings: ``lora, rank 16, alpha 32, dropout 0, on q_proj, v_proj``."""
    said = [
        f"{name} {value:g}" for name in ("rank", "alpha", "dropout") if (value := getattr(method, name)) is not None
    ]
    on = [f"on {', '.join(method.target_modules)}"] if method.target_modules else []
    said += option_words("method", method.name, method.options)
    begun = [f"going on from {method.parent}"] if method.parent else []
    return ", ".join([method.name, *said, *on, *begun])


def precision(load: LoadPlan) -> str:
    """``fp32``; ``nf4 weights (double_quant off), computed in bf16``."""
    if load.quantization == "none":
        return load.dtype
    options = {name: value for name, value in load.options.items() if name != "compute_dtype"}
    words = option_words("quantization", load.quantization, options)
    computed = load.options.get("compute_dtype", AUTO)
    in_brackets = f" ({', '.join(words)})" if words else ""
    return f"{load.quantization} weights{in_brackets}, computed in {load.dtype if computed == AUTO else computed}"


def _micro_batch(plan: Plan) -> str:
    auto = AUTO in (plan.origins["micro_batch"], plan.settings["micro_batch"])
    return f"{plan.training.micro_batch}{' (auto)' if auto else ''}"


def _precision(plan: Plan) -> str:
    auto = " (auto)" if plan.origins["gradient_checkpointing"] == AUTO else ""
    checkpointing = f", activations computed twice{auto}" if plan.training.gradient_checkpointing else ""
    return f"{precision(plan.load)} on {plan.device}, {plan.attention} attention{checkpointing}"


def _optimizer(plan: Plan) -> str:
    """``adamw, beta1 0.9, …, weight decay 0, gradient norm clipped at 1``, with what is asked beside."""
    name, training = plan.part("optimizer").name, plan.training
    options = option_words("optimizer", name, plan.options.get("optimizer", {}))
    decay, norm = f"weight decay {training.weight_decay:g}", f"gradient norm clipped at {training.max_grad_norm:g}"
    plus = [f"LoRA+ ratio {training.loraplus_ratio:g}"] if training.loraplus_ratio != 1 else []
    plus += [f"label smoothing {training.label_smoothing:g}"] if training.label_smoothing else []
    plus += [f"NEFTune alpha {training.neftune_alpha:g}"] if training.neftune_alpha else []
    return ", ".join([name, *options, decay, norm, *plus])


def _tracked(plan: Plan) -> str:
    """``csv; wandb, project mine``."""
    from graftlm.contracts.tracking import Tracker
    from graftlm.planning.plugin_options import own_options
    from graftlm_registry.plugins import registry

    specs = [registry().get(Tracker, part.name) for part in plan.all_parts(Tracker.kind)]
    told = [option_words(spec.kind, spec.name, own_options(spec, plan.options)) for spec in specs]
    return "; ".join(", ".join([spec.name, *words]) for spec, words in zip(specs, told, strict=True))


def _validation(plan: Plan) -> str:
    training = plan.training
    if not plan.data.split("validation"):
        return "none: there are no validation rows"
    stops = f", stops after {training.early_stopping} without a better loss" if training.early_stopping else ""
    best = ", the weights of the best are kept" if training.keep == "best" else ""
    return f"every {training.eval_every} steps{stops}{best}"


def _checkpoints(plan: Plan) -> str:
    """When they are kept; a plan of another machine may have a backend that is not known here."""
    if plan.part("backend").name in _without_checkpoints():
        return f"none: with {plan.part('backend').name}, a run that is stopped begins again from nothing"
    steps, minutes = plan.settings.get("checkpoint_every"), plan.settings.get("checkpoint_minutes")
    when = [f"every {steps:,} steps"] if steps else []
    when += [f"every {minutes:g} minutes"] if minutes else []
    regular = f"{', '.join(when)} and " if when else ""
    return f"{regular}whenever it is stopped (graftlm runs resume)"


def _without_checkpoints() -> set[str]:
    from graftlm.contracts.specs import Backend
    from graftlm_registry.plugins import registry

    found = (spec for _, spec in registry().contributions("backend"))
    return {spec.name for spec in found if isinstance(spec, Backend) and not spec.resumes}


def _memory(memory: MemoryPlan) -> str:
    parts = {
        "weights": memory.weights,
        "trained": memory.trained + memory.gradients + memory.optimizer,
        "activations": memory.activations,
        "logits": memory.logits,
    }
    shares = ", ".join(f"{name} {size(value)}" for name, value in parts.items())
    if memory.total > 1.1 * sum(parts.values()) and memory.total > LARGE:  # its parts do not come to it
        shares += "; reading the files takes the most"
    whole = f"about {size(memory.total)} of {size(memory.available)} ({shares})"
    return whole if memory.fits else click.style(whole, fg="red")


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
