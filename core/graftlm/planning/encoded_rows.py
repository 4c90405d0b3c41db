"""Where the rows of a plan are kept, as text and encoded."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from graftlm.contracts.errors import StoreError
from graftlm.contracts.plan import DataPlan, EncodingPlan, Split, TemplatePlan
from graftlm.contracts.serial import digest
from graftlm.contracts.specs import DataFormat
from graftlm.data.splits import write_splits
from graftlm.source import code_digest
from graftlm_registry.home import beside, home, keep_folder
from graftlm_registry.installed import installed_version
from graftlm_registry.plugins import Registry

from .data_plan import data_request
from .settings import Settings


def rows_folder(data: DataPlan, settings: Mapping[str, Any], registry: Registry) -> Path:
    """The folder of ``SPLIT.jsonl`` that is kept for this data, written where it is not there."""
    kept = home() / "cache" / "data" / data.key
    rows = kept / "rows"
    names = [f"{split.name}.jsonl" for split in data.splits]
    try:
        if not all((rows / name).is_file() for name in names):
            shutil.rmtree(rows, ignore_errors=True)
            fresh = beside(rows)
            data_format = registry.get(DataFormat, data.format)
            try:
                write_splits(data_request(settings, registry), data_format, data.splits, fresh)
                keep_folder(fresh, rows)
            finally:
                shutil.rmtree(fresh, ignore_errors=True)
        os.utime(kept)
    except OSError as error:
        raise StoreError(f"the rows cannot be written to {error.filename or kept}: {error.strerror}") from None
    return rows


def encoded_folder(split: Split, template: TemplatePlan, encoding: EncodingPlan) -> Path:
    """The folder that is to keep the encoded split."""
    made_of = [
        template.hash, template.made_of, template.today, encoding, installed_version("tokenizers"), code_digest(),
    ]  # fmt: skip
    return home() / "cache" / "encoded" / digest([split.digest, made_of])


def sample_lengths(
    data: DataPlan,
    settings: Settings,
    template: TemplatePlan,
    encoding: EncodingPlan,
    model: Path,
    registry: Registry,
) -> list[int]:
    """Tokens of every training sample, in their order, where steps are cut by tokens: the rows are encoded, and the run
    finds them so. Raises what encoding raises, and ``DataError`` where too many rows could not be trained on.
    """
    if not settings["tokens_per_step"]:
        return []
    from graftlm.encoding.kept import COUNTS, ROWS, is_kept, read_counts
    from graftlm.encoding.losses import refuse_losses
    from graftlm.encoding.rows import load_rows
    from graftlm.encoding.split import encode_split, encoding_of

    train = data.splits[0]
    folder = encoded_folder(train, template, encoding)
    if not is_kept(folder):
        shutil.rmtree(folder, ignore_errors=True)  # half of one
        with encoding_of(model, template.name, template.today, encoding) as how:
            encode_split(
                rows_folder(data, settings.values, registry) / f"{train.name}.jsonl", folder, how, lambda rows: None
            )
    refuse_losses({train.name: read_counts(folder / COUNTS)}, encoding.max_length)
    return load_rows(folder / ROWS).lengths()
