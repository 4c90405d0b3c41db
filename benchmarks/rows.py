"""Writes ``benchmarks/data``: rows in two shapes, short ones alike and a long tail, and documents to cut at any length.

The lengths decide what padding costs, so that a backend is seen at both. Run it again to get the same bytes.
"""

from __future__ import annotations

import json
import random
from pathlib import Path

FOLDER = Path(__file__).parent / "data"
ROWS, DOCUMENTS = 256, 24
WORDS = ("stone", "river", "lamp", "green", "seven", "bread", "window", "paper", "quiet", "north", "salt", "wheel")


def row(words: int, draw: random.Random) -> dict[str, str]:
    """Words to be given back in the other order."""
    chosen = draw.choices(WORDS, k=words)
    return {"instruction": "Say the words backwards.", "input": " ".join(chosen), "output": " ".join(reversed(chosen))}


def main() -> None:
    draw = random.Random(7)
    shapes = {
        "short": [draw.randint(5, 9) for _ in range(ROWS)],
        "long-tailed": [min(85, max(3, round(draw.lognormvariate(2.6, 0.9)))) for _ in range(ROWS)],
    }
    FOLDER.mkdir(exist_ok=True)
    for name, lengths in shapes.items():
        lines = (json.dumps(row(length, draw)) + "\n" for length in lengths)
        (FOLDER / f"{name}.jsonl").write_text("".join(lines), encoding="utf-8")
    documents = (json.dumps({"text": " ".join(draw.choices(WORDS, k=1_500))}) + "\n" for _ in range(DOCUMENTS))
    (FOLDER / "documents.jsonl").write_text("".join(documents), encoding="utf-8")


if __name__ == "__main__":
    main()
