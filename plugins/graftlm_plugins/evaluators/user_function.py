"""A Python function of the user's: it gets an answer and its reference, and returns a number."""

from __future__ import annotations

import hashlib
import importlib.util
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from graftlm.api import Evaluator, Metric, Option, RunError, hookimpl

if TYPE_CHECKING:
    from graftlm.api import EvaluationContext, EvaluationResult

Scorer = Callable[[str, str], float]


def score(context: EvaluationContext) -> EvaluationResult:
    """The mean of what it returns. Raises ``RunError`` where it fails, with the row."""
    from graftlm.api import EvaluationResult

    from .answering import answered, mean

    function = _loaded(str(context.options["function"]))
    found = answered(context)
    each = [_called(function, answer, ref) for answer, ref in zip(found.answers, found.references, strict=True)]
    return EvaluationResult(values={"function": mean(each)}, samples=found.samples(score=each), each={"function": each})


def _called(function: Scorer, answer: str, reference: str) -> float:
    try:
        return float(function(answer, reference))
    except Exception as error:
        raise RunError(
            f"the function of --set evaluator.function failed on the answer {answer!r} with the reference "
            f"{reference!r}: {type(error).__name__}: {error}"
        ) from error


def _loaded(place: str) -> Scorer:
    """``FILE.py:NAME``"""
    path, _, name = place.rpartition(":")
    spec = importlib.util.spec_from_file_location(Path(path).stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
        function: Scorer = getattr(module, name)
    except Exception as error:
        raise RunError(f"{place} cannot be imported: {type(error).__name__}: {error}") from error
    return function


def against(options: Mapping[str, Any]) -> Sequence[str]:
    """Reasons that the options give."""
    path, _, name = str(options.get("function", "")).rpartition(":")
    if not path or not name.isidentifier():
        return ("needs a function of yours: --set evaluator.function=FILE.py:NAME, called with answer and reference",)
    return () if path.endswith(".py") and Path(path).is_file() else (f"there is no Python file {path}",)


def content(options: Mapping[str, Any]) -> str:
    """The function's file: another one there is another evaluator."""
    path = Path(str(options.get("function", "")).rpartition(":")[0])
    return hashlib.sha256(path.read_bytes()).hexdigest()[:16] if path.is_file() else ""


@hookimpl
def graftlm_evaluators() -> Iterable[Evaluator]:
    yield Evaluator(
        name="function",
        summary="the mean of what a Python function of yours returns",
        metrics=(Metric(name="function", unit="", higher_is_better=True),),
        target="graftlm_plugins.evaluators.user_function:score",
        options=(Option(name="function", type="path", default="", help="FILE.py:NAME, called with answer, reference"),),
        check=against,
        fingerprint=content,
    )
