"""A small model in training whose checkpoints are written by the worker's own code, without a run around it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file

from graftlm.contracts.job import TrainJob
from graftlm.worker.checkpointing import Checkpointing
from graftlm.worker.course import Course
from graftlm.worker.draws import Draws
from graftlm_registry.runs.checkpoints import Checkpoints

PLAN = "a plan's hash"


class Silent:
    """Events that nobody hears but the test."""

    def __init__(self) -> None:
        self.warnings: list[str] = []

    def warning(self, message: str) -> None:
        self.warnings.append(message)

    def send(self, event: str, **fields: Any) -> None:
        pass


class Saved:
    """Steps of a linear layer under AdamW; after each, what is saved is a matter of the step alone."""

    def __init__(self, run: Path) -> None:
        self.run = run
        torch.manual_seed(5)
        self.model = torch.nn.Linear(3, 2)
        self.optimizer = torch.optim.AdamW(self.model.parameters(), lr=0.1)
        self.draws = Draws("cpu", 5)
        self.course = Course()
        self.events = Silent()
        self.checkpointing = Checkpointing(run, PLAN, TrainJob(run="r", model="", staged="", resumes=True), self.events)
        self.best = run / "best.safetensors"

    def go_on(self) -> int:
        """From the newest checkpoint, as a worker does; its step."""
        found = self.checkpointing.newest()
        if found is None:
            return 0
        self.course = found.course
        self.model.load_state_dict(load_file(found.weights))
        self.optimizer.load_state_dict(found.states["of optimizer"])
        self.draws.put_back(found.states["draws"])
        return self.course.step

    def train(self, steps: int) -> None:
        for _ in range(steps):
            self.optimizer.zero_grad()
            loss = self.model(torch.randn(4, 3)).pow(2).mean()
            loss.backward()
            self.optimizer.step()
            self.course.losses.append(loss.item())

    def save(self) -> None:
        self.run.mkdir(parents=True, exist_ok=True)
        self.best.write_bytes(os.urandom(0) + b"best weights")
        states = {"draws": self.draws.state(), "of optimizer": self.optimizer.state_dict()}
        self.checkpointing.save(self.course, self.model, states, self.best)

    def facts(self) -> tuple[list[float], list[float]]:
        """Losses so far, and the weights."""
        return self.course.losses, [float(x) for p in self.model.parameters() for x in p.detach().reshape(-1)]


def saved(run: Path, *steps: int) -> Saved:
    """With checkpoints after so many steps each."""
    made = Saved(run)
    for each in steps:
        made.train(each)
        made.save()
    return made


def facts_at(run: Path) -> tuple[int, tuple[list[float], list[float]]]:
    """What a worker would go on from, read afresh."""
    found = Saved(run)
    return found.go_on(), found.facts()


def visible(run: Path) -> list[int]:
    return Checkpoints(run / "checkpoints").steps()
