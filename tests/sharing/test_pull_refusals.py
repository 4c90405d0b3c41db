"""``adapters pull``: a record or a manifest that graftlm never writes is refused, and leaves nothing."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from kept_adapters import draft
from whole_records import kept

from graftlm.contracts.errors import GraftlmError, StoreError
from graftlm.contracts.record import AdapterRecord
from graftlm.contracts.serial import to_json
from graftlm.sharing.export import export
from graftlm.sharing.manifest import manifest_bytes, manifest_of
from graftlm.sharing.pull import pull
from graftlm_registry.adapters import open_store
from graftlm_registry.plugins import registry


@pytest.fixture
def elsewhere(tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """From here on graftlm has another, empty home."""

    def move() -> None:
        shutil.rmtree(tmp_path / "elsewhere", ignore_errors=True)
        monkeypatch.setenv("GRAFTLM_HOME", str(tmp_path / "elsewhere"))

    return move


def pulled(source: str) -> AdapterRecord:
    return pull(source, registry(), lambda event: None).record


def forged(folder: Path, record: AdapterRecord, **changes: Any) -> Path:
    """An exported folder with another record."""
    export(record.reference, folder, registry())
    (folder / "graftlm.json").write_bytes(to_json(replace(record, **changes)))
    return folder


NESTED: Any = []
for _ in range(60):
    NESTED = [NESTED]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"load": replace(draft("").load, trust_remote_code=True)}, "asks to run code"),
        ({"digest": "0" * 64}, "is of other files"),
        ({"name": "../../etc"}, "is not a name"),
        ({"name": "con"}, "is not a name"),
        ({"template": "x\x1b]0;owned\x07"}, "characters that a terminal would obey"),
        ({"hyperparameters": {"a": ["\u202egnp"]}}, "characters that a terminal would obey"),
        ({"hyperparameters": {"\x00": 1}}, "characters that a terminal would obey"),
        ({"hyperparameters": {"a": NESTED}}, "nested too deeply"),
        ({"method": "x" * 30_000}, "a word of 30,000 characters"),
        ({"kind": "overlay"}, "is of an overlay"),
        ({"created": "yesterday"}, "no moment at which it was made"),
        ({"created": "2026-01-01T00:00:00"}, "no moment at which it was made"),
    ],
)
def test_a_record_that_graftlm_never_writes_is_refused(
    elsewhere: Callable[[], None], tmp_path: Path, changes: dict[str, Any], words: str
) -> None:
    folder = forged(tmp_path / "forged", kept(), **changes)
    elsewhere()
    with pytest.raises(StoreError, match=words):
        pulled(str(folder))
    assert open_store().names() == []
    assert list((open_store().root / "staging").iterdir()) == []


@pytest.mark.parametrize("text", [b"", b"[]", b"{}", b"\xff", b'{"name": "a"}', b"[" * 100_000])
def test_a_record_that_is_none_is_refused(elsewhere: Callable[[], None], tmp_path: Path, text: bytes) -> None:
    folder = forged(tmp_path / "forged", kept())
    (folder / "graftlm.json").write_bytes(text)
    elsewhere()
    with pytest.raises(GraftlmError):
        pulled(str(folder))
    assert open_store().names() == []


def test_a_manifest_lists_files_of_an_adapter_alone(home: Path, tmp_path: Path) -> None:
    folder = forged(tmp_path / "forged", kept())
    whole = manifest_of(folder, "skill", 1)
    entry = next(iter(whole.files.values()))
    for changed, words in (
        (replace(whole, files={**whole.files, "../evil": entry}), r"lists '\.\./evil'"),
        (replace(whole, files={**whole.files, "x.py": entry}), "lists 'x.py'"),
        (replace(whole, layout=2), "layout 2, and this graftlm knows 1"),
        (replace(whole, files={**whole.files, "graftlm.json": replace(entry, size=1 << 40)}), "at most"),
        (replace(whole, files={**whole.files, "graftlm.json": replace(entry, size=-1)}), "at most"),
    ):
        (folder / "manifest.json").write_bytes(manifest_bytes(changed.sealed()))
        with pytest.raises(StoreError, match=words):
            pulled(str(folder))
    (folder / "manifest.json").write_bytes(manifest_bytes(replace(whole, name="other")))
    with pytest.raises(StoreError, match="its checksum is not that of its content"):
        pulled(str(folder))
    (folder / "manifest.json").write_bytes(b" " * (2 << 20))
    with pytest.raises(StoreError, match="is larger than"):
        pulled(str(folder))
