"""An adapter that comes with the record of the graftlm that made it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from graftlm.contracts.errors import StoreError
from graftlm.contracts.record import AdapterRecord
from graftlm_registry.adapters import open_store
from graftlm_registry.adapters.content import content_digest
from graftlm_registry.adapters.names import check_name

from .portable import CONFIG, RECORD
from .strict_record import read_record

if TYPE_CHECKING:
    from graftlm_registry.adapters.outside.taking_in import TakenIn

BASE = "base_model_name_or_path"


def published(staged: Path, draft: AdapterRecord) -> tuple[AdapterRecord, bool]:
    """The record as the store has it, and whether it is a new version there."""
    store = open_store()
    before = store.versions(draft.name).kept
    record = store.publish(staged, draft)
    return record, record.version not in before


def publish_with_record(
    taken: TakenIn, staged: Path, name: str, source: str, *, config: bytes
) -> tuple[AdapterRecord, bool]:
    """Publish the checked files in ``staged`` under the record that came with them: everything of it stays but its
    version, and its name where another is given. The same record and files again give the version that is there, which
    is then not new.

    ``config`` is ``adapter_config.json`` as it came: the record's digest is of that, and ``taken`` has it cleaned.
    ``source`` says where they come from, in messages. ``StoreError`` where the record is not of these files, or holds
    what no record of graftlm holds.
    """
    where = f"{source or 'the adapter'}: {RECORD}"
    record = read_record(taken.record or b"", where)
    cleaned = (staged / CONFIG).read_bytes()
    given = _given(config, where)
    digest = ""
    # exporting fills in the base's name where the stored configuration has none
    unnamed = {key: value for key, value in given.items() if key != BASE}
    for candidate in (given, {**unnamed, BASE: None}, {**unnamed, BASE: ""}, unnamed):
        _write(staged / CONFIG, candidate)
        digest = content_digest(staged)
        if digest == record.digest:
            if not _inert(candidate, taken.config):
                (staged / CONFIG).write_bytes(cleaned)
                record = replace(record, digest=content_digest(staged))
            break
    else:
        raise StoreError(
            f"{where} is of other files (digest {record.digest[:16]}, and these have {digest[:16]}): remove it to "
            "import them as an adapter of unknown making"
        )
    return published(staged, replace(record, name=check_name(name or record.name), version=0))


def _given(config: bytes, where: str) -> dict[str, Any]:
    try:
        given = json.loads(config)
    except (ValueError, RecursionError):
        given = None
    if not isinstance(given, dict):
        raise StoreError(f"{where}: the {CONFIG} beside it is no JSON object")
    return given


def _inert(given: Mapping[str, Any], cleaned: Mapping[str, Any]) -> bool:
    """Cleaning took away only what is not set."""
    same = all(
        given.get(key) == value or (_unset(given.get(key)) and (_unset(value) or key == BASE))
        for key, value in cleaned.items()
    )
    return same and all(_unset(value) for key, value in given.items() if key not in cleaned)


def _unset(value: object) -> bool:
    return value is None or value is False or value in ("", [], {})


def _write(config: Path, said: Mapping[str, Any]) -> None:
    """As graftlm writes it."""
    config.write_text(json.dumps(said, indent=2, sort_keys=True, ensure_ascii=False) + "\n", encoding="utf-8")
