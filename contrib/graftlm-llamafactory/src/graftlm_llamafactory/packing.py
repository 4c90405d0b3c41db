"""LLaMA-Factory's ``neat_packing``: its own greedy knapsack over the run's samples, its own packed rows.

It packs while it reads a data set, and these rows are encoded already: its processor is handed each sample's ids and
labels where it would have encoded a conversation.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any

from .rows import IGNORED

if TYPE_CHECKING:
    from graftlm.api import TrainingContext


@dataclass(frozen=True, slots=True)
class PackedRows:
    """``rows`` of an optimizer step, and the real ``tokens`` of each step."""

    rows: int
    tokens: tuple[int, ...]


def rows_a_step(planned: float, tokens: int, rows: int) -> int:
    """How many packed rows come nearest to the ``planned`` tokens of a step; ``tokens`` are those of all ``rows``."""
    return max(1, round(planned / (tokens / rows)))


def write_packed(context: TrainingContext, folder: Path) -> PackedRows:
    """Pack all samples into rows of the plan's longest length, and write as many as all steps take, shuffled by the
    run's seed in each pass. Columns are LLaMA-Factory's.
    """
    from datasets import Dataset

    plan, steps = context.plan, context.steps()
    packed = _packed(context.encoded, plan.encoding.max_length)
    real = [sum(1 for part in mask if part) for mask in packed["attention_mask"]]
    planned = sum(map(steps.tokens, range(len(steps)))) / len(steps)
    size = rows_a_step(planned, sum(real), len(real))
    order: list[int] = []
    draw = Random(plan.training.seed)
    while len(order) < size * len(steps):
        order += draw.sample(range(len(real)), len(real))
    taken = [order[i * size : (i + 1) * size] for i in range(len(steps))]
    columns = {name: [values[i] for step in taken for i in step] for name, values in packed.items()}
    Dataset.from_dict(columns).save_to_disk(str(folder))
    tokens = tuple(sum(real[i] for i in step) for step in taken)
    print(
        f"packed into {len(real)} rows of {plan.encoding.max_length} tokens "
        f"({sum(real) / len(real) / plan.encoding.max_length:.0%} full), {size} rows a step: "
        f"{sum(tokens) / len(tokens):.0f} tokens a step, {sum(tokens) / len(tokens) / planned:.2f} times the plan's"
    )
    return PackedRows(size, tokens)


def _packed(encoded: Path, length: int) -> dict[str, list[Any]]:
    """Every sample of the run once."""
    from llamafactory.data.processor import PackedSupervisedDatasetProcessor
    from llamafactory.hparams import DataArguments
    from safetensors.numpy import load_file

    found = load_file(encoded / "train.safetensors")
    ids, labels, offsets = found["ids"], found["labels"].copy(), found["offsets"]
    labels[offsets[:-1]] = IGNORED
    samples = sorted({i for step in json.loads((encoded / "order.json").read_text("utf-8")) for i in step})

    class Encoded(PackedSupervisedDatasetProcessor):  # type: ignore[misc]
        def _encode_data_example(self, prompt: list[int], **rest: Any) -> tuple[list[int], list[int]]:
            place = slice(int(offsets[prompt[0]]), int(offsets[prompt[0] + 1]))
            return ids[place].tolist(), labels[place].tolist()

    class Padding:
        pad_token_id = 0

    settings = DataArguments(cutoff_len=length, packing=True, neat_packing=True)
    processor = Encoded(template=None, tokenizer=Padding(), processor=None, data_args=settings)
    each: list[Any] = [[i] for i in samples]
    columns = dict.fromkeys(("_system", "_tools", "_images", "_videos", "_audios"), [None] * len(each))
    made = processor.preprocess_dataset({"_prompt": each, "_response": each, **columns})
    return {name: made[name] for name in ("input_ids", "attention_mask", "position_ids", "labels")}
