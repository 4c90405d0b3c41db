"""Runs of a comparison without any training: results as they are read, and a worker that says it trained."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from graftlm.comparing.results import Inputs, RunResult, StepFigures
from graftlm.contracts.config import RunConfig
from graftlm.contracts.errors import RunError
from graftlm.contracts.outcome import Effective, EncodingCounts, MemoryUse, Outcome, Proof, Training
from graftlm.contracts.plan import Plan
from graftlm.contracts.serial import from_json, to_builtins, to_json
from graftlm.environments.interpreter import BASE, Interpreter
from graftlm.planning.resolve import resolve
from graftlm.running.worker_process import OnEvent
from graftlm.testing.in_process import start_in_process
from graftlm_registry.plugins import registry

LOSSES = (3.0, 2.5, 2.25, 2.0)


def planned(data: Path, **settings: Any) -> Plan:
    asked = {"model": "tiny-mistral", "rank": 4, "dtype": "fp32", "device": "cpu", "max_steps": len(LOSSES), **settings}
    return resolve(RunConfig(data=str(data), retention=False, test_split=0.0, **asked), registry())


def effective_of(plan: Plan, **changes: Any) -> Effective:
    """What ran where all of the plan did."""
    given: dict[str, Any] = {
        "device": plan.device, "dtype": plan.dtype, "attention": plan.attention, "backend": plan.part("backend").name,
        "linear_layers": 28, "quantized_layers": 28 if plan.load.quantization != "none" else 0, "adapted_layers": 28,
        "adapted_modules": {"q_proj": 4, "v_proj": 4}, "trainable_parameters": 1024, "total_parameters": 10_000,
        "packing": False, "loss": "a loss", "batch_size": 8, "micro_batch": 4, "versions": {"torch": "2.13"},
        "given": "planned",
    }  # fmt: skip
    return Effective(**{**given, **changes})


def steps_of(losses: Sequence[float] = LOSSES, **changes: Any) -> tuple[StepFigures, ...]:
    figures = {"gradient_norm": 1.5, "seconds": 0.5, "tokens": 100, "trained": 20, "flops": 1e6, **changes}
    return tuple(StepFigures(loss=loss, **figures) for loss in losses)


def result_of(plan: Plan, cell: str = "peft", number: int = 1, **changes: Any) -> RunResult:
    """A finished run, which did all that its plan says."""
    given: dict[str, Any] = {
        "cell": cell, "round": number, "finished": f"2026-11-22T20:0{number}:00.000+00:00",
        "settings": {"backend": cell, "data": "rows.jsonl"}, "plan": plan, "machine": {"processor": "a test's"},
        "inputs": Inputs(ids="i", labels="l", order="o", initial="w"), "effective": effective_of(plan),
        "steps": steps_of(), "validation": ((4, 1.9),), "first_step_seconds": 1.0, "training_seconds": 2.0,
        "wall_seconds": 5.0, "memory": MemoryUse(imports=1, peak=1000), "adapter_bytes": 64,
        "answers": ("red", "blue", "red", "blue"),
        "proof": Proof(effect=2.0, reload=0.0, base_before="0", base_after="0"),
    }  # fmt: skip
    return RunResult(**{**given, **changes})


class PretendedWorker:
    """Encodes, and says that it trained: every job is written down as (job, backend). ``before(job, backend)`` may
    raise.
    """

    def __init__(self, before: Callable[[str, str], None] = lambda job, backend: None) -> None:
        self.calls: list[tuple[str, str]] = []
        self._before = before

    def __call__(self, job: str, folder: Path, on_event: OnEvent, /, at: Interpreter = BASE) -> Mapping[str, Any]:
        if job == "rate":
            dtypes = json.loads((folder / "rate.json").read_bytes())["dtypes"]
            return {"rates": dict.fromkeys(dtypes, 1e9)}
        if job == "encode":
            return start_in_process(job, folder, on_event, at=at)
        plan = from_json((folder / "plan.json").read_bytes(), Plan, "the plan")
        backend = plan.part("backend").name
        self.calls.append((job, backend))
        (folder / "log.txt").write_text(f"{job} of {backend}\n")
        self._before(job, backend)
        return getattr(self, f"_{job}")(folder, plan, on_event)

    def _initial(self, folder: Path, plan: Plan, on_event: OnEvent) -> Mapping[str, Any]:
        (folder / "initial").mkdir()
        (folder / "initial" / "base.sha256").write_text("0" * 64)
        (folder / "encoded" / "order.json").write_text("[[0, 1], [2, 3]]")
        return {}

    def _train(self, folder: Path, plan: Plan, on_event: OnEvent) -> Mapping[str, Any]:
        assert (folder / "encoded" / "order.json").is_file()
        (folder / "staged" / "adapter.safetensors").write_bytes(b"weights")
        for step in steps_of():
            on_event({"event": "metric", **to_builtins(step)})
        (folder / "training.json").write_bytes(to_json(training_of(plan)))
        return {}

    def _prove(self, folder: Path, plan: Plan, on_event: OnEvent) -> Mapping[str, Any]:
        job = json.loads((folder / "job.json").read_bytes())
        (folder / "answers.json").write_text(json.dumps(["red"] * job["answers"]))
        return {"outcome": to_builtins(outcome_of(plan))}

    @property
    def trained(self) -> list[str]:
        return [backend for job, backend in self.calls if job == "train"]


def training_of(plan: Plan) -> Training:
    return Training(
        losses=LOSSES, validation=((4, 1.9),), tokens=400, seconds=2.0, total_seconds=3.0, encoding=EncodingCounts(),
        effective=effective_of(plan), memory=MemoryUse(imports=1, peak=1000), base_digest="0" * 64,
    )  # fmt: skip


def outcome_of(plan: Plan) -> Outcome:
    training = training_of(plan)
    return Outcome(
        run="run", plan_hash=plan.hash, first_loss=LOSSES[0], losses=LOSSES, validation=training.validation, tokens=400,
        seconds=2.0, tokens_per_second=200.0, total_seconds=4.0, encoding=training.encoding, scores=(), digest="",
        effective=training.effective, proof=Proof(effect=1.0, reload=0.0, base_before="0", base_after="0"), staged="s",
    )  # fmt: skip


class Told:
    """A teller that writes down what it hears: (cell, round) as runs begin, and the results."""

    def __init__(self) -> None:
        self.began_with: list[tuple[str, int]] = []
        self.results: list[RunResult] = []
        self.left: list[float] = []

    def began(self, cell: Any, number: int, done: int, total: int, left: float) -> None:
        self.began_with.append((cell.cell.name, number))
        self.left.append(left)

    def ended(self, result: RunResult) -> None:
        self.results.append(result)

    def on_event(self, event: Mapping[str, object]) -> None:
        pass


def failing(*which: str, job: str = "train") -> Callable[[str, str], None]:
    """Backends that fail."""

    def before(now: str, backend: str) -> None:
        if backend in which and now == job:
            raise RunError(f"{backend} does not work today")

    return before


def slower(result: RunResult, factor: float, number: int) -> RunResult:
    """The same run in another round, in which each step took longer."""
    steps = tuple(replace(step, seconds=step.seconds * factor) for step in result.steps)
    return replace(
        result, round=number, steps=steps, first_step_seconds=result.first_step_seconds * factor, proof=None, answers=()
    )
