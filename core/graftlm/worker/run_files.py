"""The files of a run that its jobs hand on to each other."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from graftlm.contracts.conversation import Conversation
from graftlm.contracts.job import TrainJob
from graftlm.contracts.outcome import Machine, Training
from graftlm.contracts.plan import Plan
from graftlm.contracts.serial import from_json, to_json
from graftlm.data.rows import read_row
from graftlm.data.samples import shown_file
from graftlm_registry.home import replaced

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True, slots=True, kw_only=True)
class Settled:
    """How every worker of a run computes, so that each gives the same bits: torch's threads and matmul precision, and
    what was measured of the machine for it.
    """

    threads: int
    matmul: str
    machine: Machine | None


class RunFiles:
    """``initial`` holds the adapter's first weights, by the names of the parameters; ``base_digest`` that of the base
    they were made for. ``training`` is what training gave.
    """

    def __init__(self, run: Path) -> None:
        self.run = run
        self.encoded, self.scratch = run / "encoded", run / "scratch"
        self.initial = run / "initial" / "adapter.safetensors"
        self.base_digest = run / "initial" / "base.sha256"
        self.training = run / "training.json"
        self.answers = run / "answers.json"
        self._settled = run / "machine.json"
        self._logits = run / "scratch" / "trained.safetensors"

    def plan(self) -> Plan:
        """With the micro-batch that the job has in place of the plan's own."""
        plan = from_json((self.run / "plan.json").read_bytes(), Plan, "the plan")
        micro = self.job().micro_batch
        return replace(plan, training=replace(plan.training, micro_batch=micro)) if micro else plan

    def job(self) -> TrainJob:
        return from_json((self.run / "job.json").read_bytes(), TrainJob, "the job")

    def trained(self) -> Training:
        return from_json(self.training.read_bytes(), Training, "what training gave")

    def rows(self, most: int) -> list[Conversation]:
        """The first rows that ask something: of validation, then of training."""
        return list(islice(self._asking(), most))

    def _asking(self) -> Iterator[Conversation]:
        for split in ("validation", "train"):
            if (path := self.run / "data" / f"{split}.jsonl").is_file():
                with path.open("rb") as file:
                    yield from (row for row in map(read_row, file) if not row.is_document)

    def show(self, moment: str, answered: Iterable[tuple[str, str, str]]) -> None:
        """Questions, what was expected, and answers, for the run's summary."""
        rows = ({"question": q, "reference": expected, "answer": answer} for q, expected, answer in answered)
        path = self.run / shown_file(moment)
        path.parent.mkdir(exist_ok=True)
        path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")

    def known_digest(self) -> str:
        """Of the base's weights, where the job ``initial`` read them; else empty."""
        return self.base_digest.read_text(encoding="ascii") if self.base_digest.is_file() else ""

    def settled(self) -> Settled | None:
        """How an earlier worker of the run was told to compute; None before there was one."""
        if not self._settled.is_file():
            return None
        return from_json(self._settled.read_bytes(), Settled, "what was settled for this machine")

    def settle(self, settled: Settled) -> None:
        with replaced(self._settled) as fresh:
            fresh.write_bytes(to_json(settled))

    def empty_scratch(self) -> None:
        """Of what a worker that was killed left there."""
        self.run.stat()  # a run that was taken away is not begun anew
        shutil.rmtree(self.scratch, ignore_errors=True)
        self.scratch.mkdir()

    def fresh_stage(self, staged: Path) -> Path:
        """The folder to save into, without what an earlier worker of the run may have left there."""
        self.run.stat()  # one that was taken away is not begun anew
        shutil.rmtree(staged, ignore_errors=True)
        staged.mkdir(parents=True)
        return staged

    def keep_trained(self, logits: torch.Tensor) -> None:
        """``float32[tokens, vocabulary]`` of the model that was trained, for the proof."""
        from safetensors.torch import save_file

        with replaced(self._logits) as fresh:
            save_file({"logits": logits.contiguous()}, fresh)

    def trained_logits(self) -> torch.Tensor:
        from safetensors.torch import load_file

        logits: torch.Tensor = load_file(self._logits)["logits"]
        return logits
