"""What LLaMA-Factory is handed ready-made is the run's own rows, in the order of training."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from datasets import load_from_disk
from safetensors.numpy import save_file

from graftlm_llamafactory.rows import write_rows


def test_the_rows_are_those_of_the_plan_in_its_order(tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    lengths = [5, 1, 9, 3, 7]
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    ids = generator.integers(0, 1000, offsets[-1]).astype(np.int32)
    labels = np.where(generator.random(offsets[-1]) < 0.5, ids, -100).astype(np.int32)
    labels[offsets[2]] = ids[offsets[2]]  # a first token with a label
    order = [[4, 0, 2], [1, 3, 4], [2, 2, 0]]
    encoded = tmp_path / "encoded"
    encoded.mkdir()
    save_file({"ids": ids, "labels": labels, "offsets": offsets}, encoded / "train.safetensors")
    (encoded / "order.json").write_text(json.dumps(order), encoding="utf-8")

    assert write_rows(encoded, tmp_path / "rows") == 9

    read = load_from_disk(str(tmp_path / "rows"))
    assert set(read.column_names) == {"input_ids", "attention_mask", "labels"}
    for row, sample in zip(read, [i for step in order for i in step], strict=True):
        begin, end = offsets[sample], offsets[sample + 1]
        assert row["input_ids"] == ids[begin:end].tolist()
        assert row["attention_mask"] == [1] * lengths[sample]
        assert row["labels"] == [-100, *labels[begin + 1 : end].tolist()]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["encoded", "rows"]
