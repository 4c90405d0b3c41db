"""Puts a pre-trained model into the package, with its card: ``python -m pretraining.card DIR MODEL``."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

from graftlm_registry.adapters.content import tensors_digest
from pretraining.architectures import ARCHITECTURES
from pretraining.datasets import ROOT

FILES = (
    "config.json",
    "generation_config.json",
    "model.safetensors",
    "tokenizer.json",
    "tokenizer_config.json",
    "chat_template.jinja",
)
SUGGESTIONS = {"learning_rate": 0.0015, "max_steps": 150, "micro_batch": 16, "max_length": 512}
"""A model of this size learns little at a large model's rate."""


def main(folder: Path, name: str) -> None:
    source, target = folder / name, ROOT / "builtin" / name
    scores = json.loads((source / "scores.json").read_text(encoding="utf-8"))
    target.mkdir(parents=True, exist_ok=True)
    for file in FILES:
        shutil.copyfile(source / file, target / file)
    weights = target / "model.safetensors"
    weights.chmod(0o644)
    millions = weights.stat().st_size / 2e6
    card = {
        "name": name,
        "summary": f"{ARCHITECTURES[name].family.capitalize()} of {millions:.1f}M parameters, pre-trained on small text skills",
        "licence": "Apache-2.0",
        "template": ARCHITECTURES[name].template,
        "context": {"positions": 1024, "trained": 512},
        "suggestions": SUGGESTIONS,
        "scored": "greedy, exact match, after rounding to 16 bit, on questions drawn apart from the training's",
        **scores,
        "weights_digest": tensors_digest(weights),
    }
    (target / "card.json").write_text(json.dumps(card, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
