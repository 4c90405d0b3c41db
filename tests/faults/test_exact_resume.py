"""A run that was stopped and gone on with ends with the same losses and the same adapter, to the last bit."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from faults_counts import WHOLE, count
from stopped_runs import Watch, carried_on, cut, differences, plan_of, stopped, whole

from graftlm.running.train import prepare
from graftlm_registry.plugins import registry

QUICK: dict[str, dict[str, Any]] = {
    "lora on tiny-mistral": {},
    "full, bf16, on tiny-qwen": {"model": "tiny-qwen", "method": "full", "dtype": "bf16", "dropout": None},
    "fp16 on tiny-falcon": {"model": "tiny-falcon", "dtype": "fp16"},
    "vera on tiny-glm": {"model": "tiny-glm", "method": "vera", "dropout": None},
    "every kind of draw": {"neftune_alpha": 5.0, "label_smoothing": 0.1, "loraplus_ratio": 4.0, "keep": "best"},
}
SLOW: dict[str, dict[str, Any]] = {
    **{
        f"{method} in {dtype} on {model}": {"model": model, "method": method, "dtype": dtype, "dropout": None}
        for model in ("tiny-mistral", "tiny-qwen", "tiny-glm", "tiny-falcon")
        for method in ("lora", "full", "freeze", "dora", "vera")
        for dtype in ("fp32", "bf16", "fp16")
        if (model, method, dtype) not in {("tiny-qwen", "full", "bf16"), ("tiny-glm", "vera", "fp32")}
    },
    **{
        f"{optimizer}": {"optimizer": optimizer, "options": {"optimizer": options}, "learning_rate": rate}
        for optimizer, options, rate in (
            ("adamw", {}, 5e-3),
            ("adamw-8bit", {"min_8bit_size": 1}, 3e-3),
            ("lion", {}, 1e-3),
            ("lion-8bit", {"min_8bit_size": 1}, 1e-3),
            ("adafactor", {}, 3e-3),
            ("sgd", {}, 0.1),
        )
    },
    **{
        f"{model}, accelerator {names}": {"accelerator": names, "model": model, "dropout": None}
        for model, all_names in {
            "tiny-mistral": ("auto", "sdpa", "eager", "varlen", "sdpa+fused-lora", "varlen+supervised-logits"),
            "tiny-falcon": ("auto", "sdpa", "eager", "sdpa+fused-lora", "sdpa+supervised-logits"),
            "tiny-qwen": ("auto",),
            "tiny-glm": ("auto",),
        }.items()
        for names in all_names
    },
    "compile": {"accelerator": "compile", "options": {"accelerator": {"compiler": "aot_eager"}}, "dropout": None},
    **{
        f"quantization {name}": {"quantization": name, "dropout": None, "model": model}
        for name, model in (("nf4", "tiny-mistral"), ("int8", "tiny-mistral"), ("torchao-int8", "tiny-qwen"))
    },
    "checkpointing": {"gradient_checkpointing": True},
    "checkpointing, NEFTune": {"gradient_checkpointing": True, "neftune_alpha": 5.0},
    "keep best": {"keep": "best"},
    "label smoothing": {"label_smoothing": 0.2},
    "LoRA+": {"loraplus_ratio": 8.0},
    "deterministic": {"deterministic": True},
    "steps by tokens": {"tokens_per_step": 120, "batch_size": None},
    "weight decay, wsd": {"weight_decay": 0.1, "schedule": "wsd", "warmup": 0.3},
    "no validation": {"val_split": 0.0},
}


def prove(rows: Path, **asked: Any) -> None:
    plan = plan_of(rows, **asked)
    stops = (("micro-batch", 6, "stop"), ("after a step", 1, "crash"), ("load", 2, "stop"), ("evaluation", 1, "stop"))
    validations = (("validation", 2, "stop"),) if asked.get("val_split") != 0.0 else ()
    one, other = whole(plan), cut(plan, (stops[0], *validations, *stops[1:]))
    assert differences(one, other) == {}
    assert len(other.resumed) >= 3


@pytest.mark.parametrize("name", QUICK)
def test_it_ends_with_the_same(home: Path, alpaca: Path, name: str) -> None:
    prove(alpaca, **QUICK[name])


@pytest.mark.slow
@pytest.mark.parametrize("name", SLOW)
def test_it_ends_with_the_same_whatever_trains(home: Path, alpaca: Path, name: str) -> None:
    prove(alpaca, **SLOW[name])


def test_early_stopping_counts_on_where_it_was(home: Path, alpaca: Path) -> None:
    """Validations that went by without a better loss are counted once each."""
    asked: dict[str, Any] = {"early_stopping": 2, "keep": "best", "max_steps": 40, "eval_every": 4, "val_split": 0.4}
    plan = plan_of(alpaca, **asked, batch_size=16, micro_batch=8, schedule="constant", dropout=None)
    stops = [("validation", 3, "stop"), ("tell metric", 4, "stop"), ("after a step", 3, "crash")]
    one, other = whole(plan), cut(plan, stops)
    assert one.stopped_early
    assert differences(one, other) == {}


def test_stopped_wherever_a_run_can_be_stopped(home: Path, alpaca: Path, figures: Callable[[str], None]) -> None:
    """Each moment at which the worker asks whether to go on, or tells something to a supervisor that may be gone, of a
    small run; after each the run ends with the same. By a stop, which saves the last step, and by a crash.
    """
    plan = plan_of(alpaca, keep="best", max_steps=4, eval_every=2)
    watch = Watch()
    one = carried_on(prepare(plan, registry()), watch)
    stride = count(short=9, whole=1)
    kinds: dict[str, int] = {}
    for how in ("stop", "crash"):
        for nth in range(1 + (how == "crash") * (stride // 2), len(watch.seen) + 1, stride):
            run = prepare(plan, registry())
            kind = stopped(run, "", nth, how)
            if not kind:  # it found its rows encoded, and had less to tell
                assert nth == len(watch.seen)
                continue
            kinds[kind] = kinds.get(kind, 0) + 1
            assert differences(one, carried_on(run)) == {}, f"{how} at moment {nth}, {kind}"
    if WHOLE:
        assert {"load", "micro-batch", "validation", "after a step", "evaluation"} < kinds.keys()
    figures(f"{sum(kinds.values())} stops, each gone on with to the same bits: {kinds}")


def test_stopped_again_and_again(home: Path, alpaca: Path) -> None:
    """A worker that gets on by less than a step each time still comes to the end, with the same."""
    plan = plan_of(alpaca, keep="best")
    one = whole(plan)
    run = prepare(plan, registry())
    times = 0
    while stopped(run, "micro-batch", 4):
        times += 1
        assert times < 10
    assert times == 5
    made = run.outcome()
    assert made is not None
    assert differences(one, made) == {}
