"""A backend with an environment of its own, and three that die in it, each in another way."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterable
from pathlib import Path

from graftlm.api import Backend, Environment, Plan, TrainingContext, hookimpl

OWN = Environment(
    name="env-example",
    requirements=("env-example-dep==1.0", "transformers", "peft"),
    overrides=('nowhere-to-be-had; python_version < "0"', "numpy>=1.26"),
    variables={"ENV_EXAMPLE": "set for the worker"},
    download_mb=5,
    imports=("env_example_dep",),
)


class ExampleTrainer:
    loss = "cross-entropy over the trained positions"

    def prepare(self, plan: Plan, scratch: Path) -> None:
        import env_example_dep

        print(f"{env_example_dep.GREETING}: ENV_EXAMPLE is {os.environ['ENV_EXAMPLE']}")

    def train(self, context: TrainingContext) -> None:
        import torch

        model, training = context.load(), context.plan.training
        adapted = [p for p in model.parameters() if p.requires_grad]
        optimizer = torch.optim.AdamW(adapted, weight_decay=training.weight_decay)
        model.train()
        context.start()
        for step in context.steps():
            optimizer.param_groups[0]["lr"] = context.learning_rate(step.index)
            total = 0.0
            for batch in step.batches:
                logits, labels = model(**batch.inputs(context.device)).logits[:, :-1], batch.labels[:, 1:]
                trained = labels != -100
                loss = torch.nn.functional.cross_entropy(logits[trained], labels[trained], reduction="sum")
                (loss / step.trained).backward()
                total += loss.item() / step.trained
            norm = float(torch.nn.utils.clip_grad_norm_(adapted, training.max_grad_norm))
            optimizer.step()
            optimizer.zero_grad()
            tokens = sum(batch.tokens for batch in step.batches)
            context.stepped(step=step.index, loss=total, tokens=tokens, gradient_norm=norm, model=model)


class Killed(ExampleTrainer):
    """As by a machine that is out of memory."""

    def prepare(self, plan: Plan, scratch: Path) -> None:
        print("the last words of a worker", flush=True)
        os.kill(os.getpid(), signal.SIGKILL)


class Lacking(ExampleTrainer):
    def prepare(self, plan: Plan, scratch: Path) -> None:
        import env_example_absent  # noqa: F401


class Leaving(ExampleTrainer):
    def prepare(self, plan: Plan, scratch: Path) -> None:
        print("the last words of a worker", flush=True)
        os._exit(3)


@hookimpl
def graftlm_backends() -> Iterable[Backend]:
    for name, trainer in (("", ExampleTrainer), ("-killed", Killed), ("-lacking", Lacking), ("-leaving", Leaving)):
        yield Backend(
            name=f"env-example{name}",
            summary="trains in an environment of its own",
            target=f"graftlm_env_example:{trainer.__name__}",
            environment=OWN,
        )
