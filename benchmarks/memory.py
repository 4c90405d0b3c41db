"""What ``graftlm plan`` says that training takes of memory, against what ``graftlm train`` then takes.

Each cell is a model of random weights in a folder, a real run of two optimizer steps of two micro-batches, and two
figures: ``plan.memory.total`` and ``outcome.memory.training`` (the worker's largest size, less what its imports take).
``python memory.py [NAME …]`` measures the cells that are named, or all; ``--json`` prints them and keeps nothing.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from results import keep

from graftlm.contracts.outcome import MemoryUse
from graftlm.running.worker_process import THRIFTY
from graftlm_registry.models import catalogue

BIN = Path(sys.executable).parent
STEPS, MICRO_BATCHES = 2, 2
"""In the second step the optimizer has its moments, in the second micro-batch there are gradients."""
GIB = 1 << 30
DRAW = "import sys; from pathlib import Path; from graftlm.worker.random_weights import random_weights as draw; "
TOKENIZERS = {"mistral": "tiny-mistral", "qwen2": "tiny-qwen", "qwen3": "tiny-qwen", "qwen3_moe": "tiny-qwen",
              "glm4": "tiny-glm", "falcon": "tiny-falcon"}  # fmt: skip


@dataclass(frozen=True)
class Cell:
    """A model, and how it is trained: ``samples`` a micro-batch of at most ``tokens`` each."""

    name: str
    model: Mapping[str, Any]
    samples: int
    tokens: int
    flags: tuple[str, ...] = ("--dtype", "bf16")
    changes: Mapping[str, Any] = field(default_factory=dict)

    @property
    def config(self) -> dict[str, Any]:
        return {"dtype": "bfloat16", "max_position_embeddings": 4096, **self.model, **self.changes}


MISTRAL = {
    "model_type": "mistral", "hidden_size": 1024, "intermediate_size": 3584, "num_hidden_layers": 12,
    "num_attention_heads": 16, "num_key_value_heads": 4, "head_dim": 64, "vocab_size": 32000, "sliding_window": None,
}  # fmt: skip
QWEN_HALF_B = {
    "model_type": "qwen2", "hidden_size": 896, "intermediate_size": 4864, "num_hidden_layers": 24,
    "num_attention_heads": 14, "num_key_value_heads": 2, "vocab_size": 151936, "tie_word_embeddings": True,
}  # fmt: skip
QWEN3 = {
    "model_type": "qwen3", "hidden_size": 1024, "intermediate_size": 3072, "num_hidden_layers": 10,
    "num_attention_heads": 16, "num_key_value_heads": 8, "head_dim": 128, "vocab_size": 60000,
    "tie_word_embeddings": True,
}  # fmt: skip
GLM = {
    "model_type": "glm4", "hidden_size": 1024, "intermediate_size": 3424, "num_hidden_layers": 10,
    "num_attention_heads": 8, "num_key_value_heads": 2, "head_dim": 128, "vocab_size": 64000, "pad_token_id": 596,
    "attention_bias": True,
}  # fmt: skip
FALCON = {
    "model_type": "falcon", "hidden_size": 1024, "num_hidden_layers": 12, "num_attention_heads": 16,
    "vocab_size": 65024, "multi_query": True, "parallel_attn": True, "bias": False, "alibi": False,
    "new_decoder_architecture": False, "tie_word_embeddings": True,
}  # fmt: skip
MIXTURE = {
    "model_type": "qwen3_moe", "hidden_size": 768, "intermediate_size": 2048, "moe_intermediate_size": 512,
    "num_experts": 16, "num_experts_per_tok": 4, "num_hidden_layers": 8, "num_attention_heads": 12,
    "num_key_value_heads": 4, "head_dim": 64, "vocab_size": 32000,
}  # fmt: skip
SHALLOW, MIDDLING = {"num_hidden_layers": 4}, {"num_hidden_layers": 6}
SMALL = {"num_hidden_layers": 8, "hidden_size": 768, "intermediate_size": 2048, "num_attention_heads": 12,
         "vocab_size": 8000}  # fmt: skip
FP32, BF16, FP16 = ("--dtype", "fp32"), ("--dtype", "bf16"), ("--dtype", "fp16")
CELLS = (
    Cell("quick", MISTRAL, 4, 96, (*FP32, "--method", "full"), SMALL),
    Cell("mistral-bf16-2x512", MISTRAL, 2, 512),
    Cell("mistral-fp32-2x256", MISTRAL, 2, 256, FP32),
    Cell("mistral-fp16-1x16", MISTRAL, 1, 16, FP16, {"num_hidden_layers": 18}),
    Cell("mistral-bf16-1x1024-attention", MISTRAL, 1, 1024, (*BF16, "--target-modules", "attention")),
    Cell("mistral-bf16-8x256-checkpointing", MISTRAL, 8, 256, (*BF16, "--gradient-checkpointing"), MIDDLING),
    Cell("mistral-fp32-4x256-checkpointing", MISTRAL, 4, 256, (*FP32, "--gradient-checkpointing"), MIDDLING),
    Cell("mistral-bf16-4x256-rank-64", MISTRAL, 4, 256, (*BF16, "--rank", "64")),
    Cell("qwen2.5-0.5b-bf16-1x512", QWEN_HALF_B, 1, 512),
    Cell("qwen2.5-0.5b-bf16-2x256-checkpointing", QWEN_HALF_B, 2, 256, (*BF16, "--gradient-checkpointing")),
    Cell("qwen2.5-0.5b-fp32-1x128", QWEN_HALF_B, 1, 128, FP32),
    Cell("qwen3-bf16-2x512", QWEN3, 2, 512),
    Cell("glm4-bf16-2x512", GLM, 2, 512),
    Cell("falcon-bf16-2x512", FALCON, 2, 512),
    Cell("falcon-fp32-1x512", FALCON, 1, 512, FP32),
    Cell("mixture-fp32-2x256", MIXTURE, 2, 256, FP32),
    Cell("mixture-bf16-4x256", MIXTURE, 4, 256),
    Cell("full-bf16-4x256", MISTRAL, 4, 256, (*BF16, "--method", "full"), SHALLOW),
    Cell("freeze-bf16-4x256", MISTRAL, 4, 256, (*BF16, "--method", "freeze", "--set", "method.layers=3")),
    Cell("nf4-bf16-2x512", MISTRAL, 2, 512, (*BF16, "--quantization", "nf4")),
    Cell("int8-bf16-2x256", MISTRAL, 2, 256, (*BF16, "--quantization", "int8")),
    Cell("torchao-int8-bf16-2x256", MISTRAL, 2, 256, (*BF16, "--quantization", "torchao-int8")),
)


def make(cell: Cell, folder: Path) -> None:
    """Configuration, tokenizer of the family's built-in model, and random weights."""
    built_in = catalogue().entry(TOKENIZERS[cell.config["model_type"]]).folder
    assert built_in is not None
    folder.mkdir()
    for path in built_in.iterdir():
        if path.name.startswith(("tokenizer", "chat_template")):
            shutil.copy(path, folder)
    (folder / "config.json").write_text(json.dumps(cell.config))
    subprocess.run([sys.executable, "-c", f"{DRAW}draw(Path(sys.argv[1]))", str(folder)], check=True)


def write_rows(cell: Cell, path: Path) -> None:
    """Rows that are cut at the cell's length, and a fourth of them that are a little shorter: those are padded."""
    count = cell.samples * MICRO_BATCHES * STEPS
    with path.open("w") as file:
        for number in range(count):
            words = 2 * cell.tokens if number % 4 != 3 or cell.samples == 1 else cell.tokens // 4
            text = " ".join(f"{(number * 7919 + word * 31) % 997}" for word in range(words))
            file.write(json.dumps({"instruction": f"Count {number}.", "output": text}) + "\n")


def measure(cell: Cell) -> dict[str, Any]:
    """Both figures, and the ratio of the plan's to what was measured."""
    with tempfile.TemporaryDirectory() as temporary:
        folder, data, home = (Path(temporary) / name for name in (cell.name, "rows.jsonl", "home"))
        make(cell, folder)
        write_rows(cell, data)
        command = [
            str(BIN / "graftlm"), "train", str(data), "--model", str(folder), "--name", "cell", "--device", "cpu",
            "--max-length", str(cell.tokens), "--overlong", "truncate-right", "--max-steps", str(STEPS),
            "--batch-size", str(cell.samples * MICRO_BATCHES), "--micro-batch", str(cell.samples), "--val-split", "0",
            "--test-split", "0", "--no-retention", "--json", *cell.flags,
        ]  # fmt: skip
        environment = {**os.environ, **THRIFTY, "GRAFTLM_HOME": str(home)}  # as where memory is short
        done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
        if done.returncode:
            raise SystemExit(f"{cell.name}: {done.stderr.strip() or done.stdout.strip()}")
        outcome = json.loads(done.stdout.strip().splitlines()[-1])["outcome"]
        plan = json.loads(next((home / "runs").glob("*/plan.json")).read_text())
    planned, measured = plan["memory"]["total"], MemoryUse(**outcome["memory"]).training
    return {
        "cell": cell.name,
        "planned_gib": round(planned / GIB, 3),
        "measured_gib": round(measured / GIB, 3),
        "ratio": round(planned / measured, 3),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(cell.name for cell in CELLS))
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--jobs", type=int, default=1, help="cells at a time: memory is not a matter of time")
    given = parser.parse_args()
    cells = [cell for cell in CELLS if not given.names or cell.name in given.names]
    found = []
    with ThreadPoolExecutor(given.jobs) as pool:
        for row in pool.map(measure, cells):  # in their order
            found.append(row)
            sizes = f"{row['planned_gib']:6.2f} {row['measured_gib']:6.2f} GiB"
            print(f"{row['cell']:38} {sizes} {row['ratio']:7.3f}", file=sys.stderr, flush=True)
    if given.json:
        print(json.dumps(found))
    elif not given.names:
        keep("memory", {"cells": found, "worst": max(abs(row["ratio"] - 1) for row in found)})


if __name__ == "__main__":
    main()
