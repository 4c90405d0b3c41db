"""Adapters' files and records made by hand, for tests of the store: no training, no torch."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from graftlm.contracts.load import LoadPlan
from graftlm.contracts.outcome import Effective, Proof
from graftlm.contracts.record import AdapterRecord, BaseModel
from graftlm_registry.adapters import AdapterStore
from graftlm_registry.adapters.content import content_digest

CONFIG = {"peft_type": "LORA", "r": 4, "target_modules": ["q_proj", "v_proj"], "nested": {"b": 1, "a": [2, 1]}}
WEIGHTS = "adapter_model.safetensors"


def fill(folder: Path, *, seed: int = 0, config: dict[str, Any] = CONFIG, order: int = 1) -> Path:
    """An adapter's files, its tensors written in one order or the other."""
    folder.mkdir(parents=True, exist_ok=True)
    draw = np.random.default_rng(seed)
    tensors = {
        f"layer.{i}.lora_{side}": draw.standard_normal((4, 8), dtype=np.float32) for i in (0, 1) for side in "AB"
    }
    save_safetensors(folder / WEIGHTS, dict(list(tensors.items())[::order]))
    (folder / "adapter_config.json").write_text(json.dumps(config), encoding="utf-8")
    return folder


def save_safetensors(path: Path, tensors: dict[str, np.ndarray]) -> None:
    """By hand: the library sorts tensors, so that no two orders could be compared."""
    header, data = {}, b""
    for name, tensor in tensors.items():
        begin, data = len(data), data + tensor.tobytes()
        header[name] = {"dtype": "F32", "shape": tensor.shape, "data_offsets": [begin, len(data)]}
    text = json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + data)


def draft(digest: str, *, name: str = "skill", run: str = "run-1") -> AdapterRecord:
    return AdapterRecord(
        name=name,
        version=0,
        kind="adapter",
        digest=digest,
        created="2026-01-01T00:00:00+00:00",
        run=run,
        base=BaseModel(
            reference="tiny-mistral",
            name="tiny-mistral",
            source="built-in",
            revision="",
            files_digest="f",
            weights_digest="w",
            dtype="fp32",
            model_type="mistral",
            family="mistral",
        ),
        load=LoadPlan(name="tiny-mistral", dtype="fp32", attention="sdpa"),
        template="mistral-v3",
        template_hash="t",
        tokenizer_hash="t",
        quantization="none",
        method="lora",
        hyperparameters={"rank": 4},
        data_digest="d",
        split_rows={"train": 8},
        plan_hash="p",
        effective=Effective(
            device="cpu",
            dtype="fp32",
            attention="sdpa",
            backend="peft",
            linear_layers=28,
            quantized_layers=0,
            adapted_layers=4,
            adapted_modules={"q_proj": 4},
            trainable_parameters=1024,
            total_parameters=9999,
            packing=False,
            loss="cross-entropy",
            batch_size=4,
            micro_batch=2,
            versions={"torch": "2"},
        ),
        proof=Proof(effect=0.5, reload=0.0, base_before="w", base_after="w"),
        scores=(),
        final_loss=1.0,
        validation_loss=None,
        device="a CPU",
        graftlm="0.1.0",
    )


def publish(store: AdapterStore, *, name: str = "skill", run: str = "run-1", seed: int = 0) -> AdapterRecord:
    staged = fill(store.stage(), seed=seed)
    return store.publish(staged, draft(content_digest(staged), name=name, run=run))
