"""The encoded rows as LLaMA-Factory takes them ready-made: a data set on disk, in the order of training."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

IGNORED = -100


def write_rows(encoded: Path, folder: Path) -> int:
    """Write ``encoded``'s training samples to ``folder`` (``tokenized_path``), one row for each time that a sample is
    trained on, and return how many. Columns: input_ids and labels (int32), attention_mask (int8, all ones).

    A row's first token has nothing before it that would predict it. It is never trained, but transformers would count
    its label when it divides the loss by the step's trained tokens: it is -100 here.
    """
    import pyarrow as pa
    from datasets import Dataset
    from safetensors import safe_open

    order: list[list[int]] = json.loads((encoded / "order.json").read_text(encoding="utf-8"))
    stream = folder.with_name(f"{folder.name}.arrow")
    columns = (("input_ids", pa.int32()), ("attention_mask", pa.int8()), ("labels", pa.int32()))
    schema = pa.schema([(name, pa.list_(kind)) for name, kind in columns])
    with (
        safe_open(encoded / "train.safetensors", framework="numpy") as file,
        pa.OSFile(str(stream), "wb") as sink,
        pa.ipc.new_stream(sink, schema) as writer,
    ):
        offsets = file.get_tensor("offsets")
        ids, labels = file.get_slice("ids"), file.get_slice("labels")
        for samples in order:
            places = [slice(int(offsets[i]), int(offsets[i + 1])) for i in samples]
            writer.write_batch(_batch(schema, [(ids[place], labels[place]) for place in places]))
    Dataset.from_file(str(stream)).save_to_disk(str(folder))
    stream.unlink()
    return sum(map(len, order))


def _batch(schema: Any, rows: list[tuple[Any, Any]]) -> Any:
    """Rows of ids and labels as Arrow's lists."""
    import numpy as np
    import pyarrow as pa

    ends = np.cumsum([0, *(len(ids) for ids, _ in rows)], dtype=np.int32)
    labels = np.concatenate([row for _, row in rows])
    labels[ends[:-1]] = IGNORED
    columns = (np.concatenate([row for row, _ in rows]), np.ones(ends[-1], np.int8), labels)
    return pa.RecordBatch.from_arrays([pa.ListArray.from_arrays(ends, column) for column in columns], schema=schema)
