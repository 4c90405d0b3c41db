"""The parity gate: which cells claim to compute the same, and whether they did."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from graftlm.contracts.errors import UsageError
from graftlm.contracts.plan import Plan
from graftlm.contracts.serial import digest
from graftlm_registry.suggestions import unknown

from .model import Check
from .results import RunResult, StepFigures


@dataclass(frozen=True, slots=True, kw_only=True)
class Tolerance:
    """How far a cell may be from its reference: losses in nats a trained token, the gradient norm of the first step
    relatively, what the adapter changes relatively, and the least share of greedy answers that are the same, token for
    token. ``loss_curve`` is a limit for any step, and ``loss_fall`` one as a share of what the reference's loss fell
    by: where a model learns little, little is enough to learn nothing.
    """

    first_loss: float
    gradient_norm: float
    loss_curve: float
    loss_fall: float
    effect: float
    answers: float


EXACT = Tolerance(
    first_loss=1e-4, gradient_norm=1e-3, loss_curve=1e-3, loss_fall=0.1, effect=0.02, answers=0.85
)  # fmt: skip
"""In fp32: other orders of adding, and no more."""
ROUNDED = Tolerance(
    first_loss=0.02, gradient_norm=0.05, loss_curve=0.1, loss_fall=0.1, effect=0.25, answers=0.5
)  # fmt: skip
"""In 16 bits, and over quantized weights: backends round at other places, and small differences grow with the steps."""


def claim(plan: Plan) -> str:
    """A digest of what the plan computes, whoever computes it: two cells of one claim belong to one class. How it is
    computed (backend, attention, packing without padding, micro-batches, checkpointing) is no part of it; a backend's
    own options, where they are not its defaults, are.
    """
    training = replace(plan.training, micro_batch=0, packing=False, gradient_checkpointing=False)
    if not training.early_stopping and training.keep == "last":  # else a validation decides what is kept
        training = replace(training, eval_every=0)
    load = replace(plan.load, name="", attention="", linear_classes=())
    own = {name: value for name, value in plan.options.get("backend", {}).items() if value not in (None, False, "", 0)}
    data = [(split.name, split.digest) for split in plan.data.splits if split.name != "test"]
    method = replace(plan.method, parent="")
    stepped = [[part.name for part in plan.all_parts("optimizer")], plan.options.get("optimizer", {})]
    return digest([data, plan.model.digest, plan.template, plan.encoding, training, method, load, own, stepped])


NOISE = 1e-3
"""Nats by which no loss is held against a cell, however little its reference learned."""


def check_limits(what: str, names: Iterable[str]) -> None:
    """``UsageError``, which begins with ``what``, where one is no limit."""
    known = [name.replace("_", "-") for name in Tolerance.__slots__]
    for name in names:
        if name.replace("_", "-") not in known:
            raise UsageError(f"{what}: {unknown('limit', name, known)}")


def tolerance_of(plan: Plan, changes: Mapping[str, float]) -> Tolerance:
    """``UsageError`` where a limit to change is none."""
    check_limits("tolerance", changes)
    usual = EXACT if plan.dtype == "fp32" and plan.load.quantization == "none" else ROUNDED
    return replace(usual, **{name.replace("-", "_"): value for name, value in changes.items()})


def gate(runs: Sequence[RunResult], reference: Sequence[RunResult], tolerance: Tolerance) -> tuple[Check, ...]:
    """What the finished runs of a cell computed, against those of its class's reference, round by round."""
    pairs = [(mine, other) for mine in runs for other in reference if mine.round == other.round]
    if not pairs:
        return (Check(name="rounds", passed=False, said="no round has both this cell and its reference"),)
    found = [*own_checks(runs), _worst(_same_inputs(*pair) for pair in pairs)]
    found.append(_worst(_same_parameters(*pair) for pair in pairs))
    steps = [(a, b) for left, right in pairs for a, b in zip(left.steps, right.steps, strict=False)]
    found.append(_same_tokens(steps))
    firsts = [(left.steps[0], right.steps[0]) for left, right in pairs]
    found.append(_within("first loss", _largest(abs(a.loss - b.loss) for a, b in firsts), tolerance.first_loss))
    norm = _largest(_relative(a.gradient_norm, b.gradient_norm) for a, b in firsts)
    found.append(_within("gradient norm", norm, tolerance.gradient_norm, "{:.1e} of it"))
    fall = min(right.steps[0].loss - min(step.loss for step in right.steps) for _, right in pairs)
    curve = min(tolerance.loss_curve, max(NOISE, tolerance.loss_fall * fall))
    found.append(_within("loss curve", _largest(abs(a.loss - b.loss) for a, b in steps), curve))
    return (*found, *_same_effect(runs, reference, tolerance), *_same_answers(runs, reference, tolerance))


def own_checks(runs: Sequence[RunResult]) -> tuple[Check, ...]:
    """What a cell's runs say without any other: whether each is what its plan says."""
    plan, effective = runs[0].plan, [run.effective for run in runs if run.effective]
    found = []
    if plan.load.quantization != "none":
        least = min(effective, key=lambda ran: ran.quantized_layers)
        said = f"{least.quantized_layers} of {least.linear_layers} layers quantized"
        found.append(Check(name="quantized layers", passed=least.quantized_layers == least.linear_layers, said=said))
    for ran in effective:
        if (ran.dtype, ran.device) != (plan.dtype, plan.device):
            said = f"computed in {ran.dtype} on {ran.device}, and the plan says {plan.dtype} on {plan.device}"
            found.append(Check(name="precision", passed=False, said=said))
            break
    if any(ran.packing for ran in effective) and not plan.training.packing:  # TRL's own: another computation, openly
        own = "order and batches are the backend's own, as it was asked to pack"
        return (*found, Check(name="ids", passed=True, said=own))
    given = [ran.given for ran in effective]
    words = {
        "planned": "the model was given the planned samples",
        "other": "the model was given other ids than the planned samples",
        "unseen": "what the model was given could not be seen",
    }
    worst = next((g for g in ("other", "unseen") if g in given), "planned")
    return (*found, Check(name="ids", passed=worst == "planned", said=words[worst]))


def _worst(checks: Iterable[Check]) -> Check:
    """Of one check in all rounds."""
    found = list(checks)
    return next((check for check in found if not check.passed), found[0])


def _same_inputs(mine: RunResult, other: RunResult) -> Check:
    """Of the files that the backends were handed."""
    if mine.inputs is None or other.inputs is None:
        return Check(name="data", passed=False, said="the encoded data of a run is not known")
    names = {"ids": "ids", "labels": "labels", "order": "order of samples", "initial": "initial weights"}
    apart = [words for name, words in names.items() if getattr(mine.inputs, name) != getattr(other.inputs, name)]
    said = f"handed other {' and '.join(apart)}" if apart else "handed the same ids, labels, order and initial weights"
    return Check(name="data", passed=not apart, said=said)


def _same_parameters(mine: RunResult, other: RunResult) -> Check:
    a, b = mine.effective, other.effective
    assert a is not None
    assert b is not None
    compared: dict[str, Callable[..., object]] = {
        "trainable parameters": lambda e: e.trainable_parameters,
        "adapted layers": lambda e: e.adapted_layers,
        "quantized layers": lambda e: e.quantized_layers,
        "adapted modules": lambda e: sorted(e.adapted_modules.items()),
    }
    for what, of in compared.items():
        if of(a) != of(b):
            figures = f"{of(a):,} {what} instead of {of(b):,}" if isinstance(of(a), int) else f"other {what}"
            return Check(name="parameters", passed=False, said=figures)
    return Check(name="parameters", passed=True, said=f"{a.trainable_parameters:,} trainable parameters")


def _same_tokens(steps: Sequence[tuple[StepFigures, StepFigures]]) -> Check:
    """A speed is of tokens that a backend counted itself."""
    apart = next(((a.tokens, b.tokens) for a, b in steps if a.tokens != b.tokens), None)
    said = f"{apart[0]:,} tokens counted in a step instead of {apart[1]:,}" if apart else "the same tokens counted"
    return Check(name="tokens", passed=apart is None, said=said)


def _same_effect(runs: Sequence[RunResult], reference: Sequence[RunResult], tolerance: Tolerance) -> tuple[Check, ...]:
    """The largest change of a logit by the adapter: a layer that was passed over changes less."""
    mine, other = (next((r.proof.effect for r in each if r.proof), None) for each in (runs, reference))
    if mine is None or other is None:
        return ()
    return (_within("effect on the logits", _relative(mine, other), tolerance.effect, "{:.1e} of it"),)


def _same_answers(runs: Sequence[RunResult], reference: Sequence[RunResult], tolerance: Tolerance) -> tuple[Check, ...]:
    mine, others = (next((r.answers for r in each if r.answers), ()) for each in (runs, reference))
    if not mine or not others:
        return ()
    same = sum(a == b for a, b in zip(mine, others, strict=True))
    passed = same / len(others) >= tolerance.answers
    limit = "" if passed else f" (at least {tolerance.answers:.0%} must be)"
    return (Check(name="answers", passed=passed, said=f"{same} of {len(others)} greedy answers the same{limit}"),)


def _within(name: str, apart: float, limit: float, form: str = "{:.1e}") -> Check:
    passed = apart <= limit  # not a number is not
    if not math.isfinite(apart):
        return Check(name=name, passed=False, said=f"{name} is no number in one of them")
    words = form.format(apart)
    return Check(name=name, passed=passed, said=f"{name} within {words}" if passed else f"{name} differs by {words}")


def _largest(values: Iterable[float]) -> float:
    """Not a number, where one is none."""
    found = list(values)
    return next((value for value in found if math.isnan(value)), max(found))


def _relative(a: float | None, b: float | None) -> float:
    """None is a gradient that overflowed."""
    if a == b:
        return 0.0
    return abs(a - b) / abs(b) if a is not None and b else math.inf
