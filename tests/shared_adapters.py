"""Adapters to give away: one that was really trained, and those whose records are made by hand."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from conftest import alpaca_rows
from kept_adapters import draft

from graftlm.contracts.config import RunConfig
from graftlm.contracts.record import AdapterRecord
from graftlm.planning.resolve import resolve
from graftlm.running.train import carry_out
from graftlm.testing.in_process import start_in_process
from graftlm_registry.adapters import open_store
from graftlm_registry.adapters.content import content_digest
from graftlm_registry.plugins import registry

CONFIG = {
    "peft_type": "LORA", "r": 4, "lora_alpha": 8, "target_modules": ["q_proj", "v_proj"], "task_type": "CAUSAL_LM",
    "inference_mode": True, "eva_config": None,
}  # fmt: skip


def train(folder: Path, **settings: Any) -> AdapterRecord:
    """A few steps on a built-in model, in this process."""
    rows = folder / "rows.jsonl"
    rows.write_text("".join(json.dumps(row) + "\n" for row in alpaca_rows(16)), encoding="utf-8")
    given: dict[str, Any] = {
        "data": str(rows), "model": "tiny-mistral", "name": "colours", "device": "cpu", "dtype": "fp32",
        "max_steps": 3, "batch_size": 8, "micro_batch": 8, "learning_rate": 5e-3, "retention": False,
        "val_split": 0.0, "test_split": 0.0, **settings,
    }  # fmt: skip
    return carry_out(resolve(RunConfig(**given), registry()), registry(), print, start=start_in_process).record


def kept(name: str = "skill", *, seed: int = 0, config: dict[str, Any] | None = None, **changes: Any) -> AdapterRecord:
    """One in the store, without training. ``changes`` are of its record."""
    import numpy as np
    from safetensors.numpy import save_file

    store = open_store()
    staged = store.stage()
    draw = np.random.default_rng(seed)
    tensors = {}
    for layer in range(4):
        for module, rows in (("q_proj", 64), ("v_proj", 32)):
            path = f"base_model.model.model.layers.{layer}.self_attn.{module}"
            tensors[f"{path}.lora_A.weight"] = draw.standard_normal((4, 64), dtype=np.float32)
            tensors[f"{path}.lora_B.weight"] = draw.standard_normal((rows, 4), dtype=np.float32)
    save_file(tensors, staged / "adapter_model.safetensors")
    (staged / "adapter_config.json").write_text(json.dumps(config or CONFIG), encoding="utf-8")
    made = replace(draft(content_digest(staged), name=name, run=f"run-{seed}"), **changes)
    return store.publish(staged, made)
