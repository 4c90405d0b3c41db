"""The ``llamafactory`` backend: what ``llamafactory-cli train FILE.yaml`` does, on graftlm's rows."""

from __future__ import annotations

import os
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from .arguments import arguments
from .base import lay_out
from .packing import write_packed
from .rows import write_rows

if TYPE_CHECKING:
    from graftlm.api import Plan, TrainingContext


class LlamaFactoryTrainer:
    """LLaMA-Factory loads base and adapter, collates, computes the loss and steps. Rows, their order, initial weights
    and learning rates are the run's.
    """

    loss = "LLaMA-Factory's, which is transformers' causal language model loss"

    def prepare(self, plan: Plan, scratch: Path) -> None:
        """It takes the GPU where there is one, and refuses to start by itself where there are several. Imported here,
        its modules do not count as memory of the training.
        """
        seen = os.environ.get("CUDA_VISIBLE_DEVICES", "0")
        os.environ["CUDA_VISIBLE_DEVICES"] = "" if plan.device == "cpu" else seen.split(",")[0]
        import_module(f"{__package__}.entry")

    def train(self, context: TrainingContext) -> None:
        import yaml

        from .callback import reporting
        from .entry import run_exp

        scratch = context.scratch
        scratch.mkdir(parents=True, exist_ok=True)
        model = lay_out(context.folder, context.plan.load, scratch / "model")
        rows = scratch / "rows"
        packed = write_packed(context, rows) if _packs(context.plan) else None
        if packed is None:
            write_rows(context.encoded, rows)
        file = scratch / "llamafactory.yaml"
        asked = arguments(context.plan, model, rows, scratch / "output", packed.rows if packed else 0)
        file.write_text(yaml.safe_dump(asked, sort_keys=False, allow_unicode=True), encoding="utf-8")
        run_exp(yaml.safe_load(file.read_text(encoding="utf-8")), [reporting(context, packed)])


def _packs(plan: Plan) -> bool:
    return bool(plan.options.get("backend", {}).get("neat_packing"))
