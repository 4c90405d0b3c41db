"""The same plan on every backend, compared with ``peft``: data, initial adapter, losses, gradient norms, the result.

Each backend trains in an environment of its own where it has one; what is not available here, or refuses the plan, is
listed with the reason. Differences are the largest over all steps, in nats a trained token for losses.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from results import keep
from safetensors.numpy import load_file

from graftlm.contracts.config import RunConfig
from graftlm.contracts.errors import GraftlmError
from graftlm.contracts.outcome import Outcome
from graftlm.contracts.plan import Plan
from graftlm.contracts.specs import Backend
from graftlm.planning.resolve import resolve
from graftlm.running.train import carry_out
from graftlm_registry.adapters import open_store
from graftlm_registry.demos import demo_data
from graftlm_registry.home import home
from graftlm_registry.plugins import registry

MODELS = ("tiny-mistral", "tiny-qwen", "tiny-glm", "tiny-falcon")
REFERENCE = "peft"
FIRST, CURVE = 1e-4, 2e-4
"""How far the first loss, and any loss, may be from the reference's in fp32."""


@dataclass(slots=True)
class Run:
    """What a backend did. ``digests`` are of the encoded ids and labels, the order of samples, the initial adapter."""

    outcome: Outcome
    digests: Mapping[str, str]
    events: Sequence[Mapping[str, Any]]
    adapter: Mapping[str, Any] = field(default_factory=dict)

    def every(self, name: str) -> np.ndarray[Any, Any]:
        return np.array([event[name] for event in self.events if event["event"] == "metric"])


def tensors_digest(path: Path, names: Sequence[str] = ()) -> str:
    """Of the tensors by name, whatever else the file says."""
    digest = hashlib.sha256()
    tensors = load_file(path)
    for name in names or sorted(tensors):
        tensor = tensors[name]
        digest.update(f"{name} {tensor.dtype} {tensor.shape}".encode() + tensor.tobytes())
    return digest.hexdigest()[:16]


def trained(plan: Plan) -> Run:
    digests: dict[str, str] = {}
    events: list[Mapping[str, Any]] = []

    def look(plan: Plan, outcome: Outcome, run: Path) -> None:
        encoded = run / "encoded"
        digests["ids"] = tensors_digest(encoded / "train.safetensors", ("ids", "offsets"))
        digests["labels"] = tensors_digest(encoded / "train.safetensors", ("labels",))
        digests["order"] = hashlib.sha256((encoded / "order.json").read_bytes()).hexdigest()[:16]
        digests["initial"] = tensors_digest(run / "initial" / "adapter.safetensors")

    done = carry_out(plan, registry(), events.append, also=look)
    folder = open_store().path(done.record.reference)
    adapter: dict[str, Any] = {}
    for file in sorted(folder.glob("*.safetensors")):
        adapter |= load_file(file)
    return Run(done.outcome, digests, events, adapter)


def compared(run: Run, reference: Run) -> dict[str, Any]:
    """How far a run is from the reference."""
    losses, others = np.array(run.outcome.losses), np.array(reference.outcome.losses)
    same = {name: run.digests[name] == digest for name, digest in reference.digests.items()}
    first, curve = float(abs(losses[0] - others[0])), float(np.abs(losses - others).max())
    names = run.adapter.keys() == reference.adapter.keys()
    weights = max(float(np.abs(run.adapter[n] - reference.adapter[n]).max()) for n in run.adapter) if names else None
    norms = np.abs(run.every("gradient_norm") - reference.every("gradient_norm"))
    rates = np.abs(run.every("learning_rate") - reference.every("learning_rate"))
    return {
        "same": same,
        "first_loss": first,
        "loss_curve": curve,
        "first_gradient_norm": float(norms[0]),
        "gradient_norms": float(norms.max()),
        "learning_rates": float(rates.max()),
        "same_tensors": names,
        "adapter_weights": weights,
        "within": all(same.values()) and names and first <= FIRST and curve <= CURVE,
        "losses": [round(loss, 6) for loss in run.outcome.losses],
        "tokens": run.outcome.tokens,
        "tokens_per_second": round(run.outcome.tokens_per_second, 1),
        "seconds": round(run.outcome.total_seconds, 1),
        "loss": run.outcome.effective.loss,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--backend", action="append", help="default: all, as far as they are available here")
    parser.add_argument("--model", action="append")
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--batch-size", type=int, default=16)
    parser.add_argument("--micro-batch", type=int, default=4)
    parser.add_argument("--device", default="cpu", choices=("cpu", "cuda"))
    given = parser.parse_args()
    backends = given.backend or sorted(spec.name for spec in registry().all(Backend))
    backends = [REFERENCE, *(name for name in backends if name != REFERENCE)]
    found: dict[str, dict[str, Any]] = {}
    environments: dict[str, Mapping[str, str]] = {}
    temporary = own_home()
    try:
        for model in given.model or MODELS:
            found[model] = {}
            reference: Run | None = None
            for backend in backends:
                asked = RunConfig(
                    data=str(demo_data("sentiment").train), model=model, backend=backend, name=f"{model}-{backend}",
                    max_steps=given.steps, batch_size=given.batch_size, micro_batch=given.micro_batch,
                    learning_rate=1e-3, dtype="fp32", device=given.device, val_split=0.0, test_split=0.0,
                    retention=False, seed=3,
                )  # fmt: skip
                try:
                    run = trained(resolve(asked, registry()))
                except GraftlmError as error:
                    found[model][backend] = {"refused": str(error)}
                    print(f"{model:13}  {backend:13}  refused: {error}", flush=True)
                    if backend == REFERENCE:
                        break
                    continue
                reference = reference or run
                environments[backend] = run.outcome.effective.versions
                figures = found[model][backend] = compared(run, reference)
                print(line(model, backend, figures), flush=True)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    settings = {"steps": given.steps, "batch_size": given.batch_size, "micro_batch": given.micro_batch, "dtype": "fp32"}
    keep("parity", {"settings": settings, "environments": environments, "found": found}, given.device)


def own_home() -> Path:
    """A store for these runs alone; the environments are those that were made already."""
    environments = home() / "envs"
    temporary = Path(tempfile.mkdtemp(prefix="graftlm-parity-"))
    if environments.is_dir():
        (temporary / "envs").symlink_to(environments)
    os.environ["GRAFTLM_HOME"] = str(temporary)
    return temporary


def line(model: str, backend: str, figures: Mapping[str, Any]) -> str:
    same = ", ".join(name for name, is_same in figures["same"].items() if not is_same)
    weights = figures["adapter_weights"]
    return (
        f"{model:13}  {backend:13}  first loss {figures['first_loss']:.1e}  curve {figures['loss_curve']:.1e}  "
        f"gradient norm {figures['gradient_norms']:.1e}  "
        f"weights {'other tensors' if weights is None else f'{weights:.1e}'}  "
        f"{'ok' if figures['within'] else 'APART'}{same and f' (not the same: {same})'}"
    )


if __name__ == "__main__":
    main()
