"""What leaves this machine says no path of it, no password and no private note."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from fsspec.implementations.memory import MemoryFileSystem
from shared_adapters import CONFIG
from whole_records import kept

from graftlm.cli.adapters.export import export as export_command
from graftlm.cli.adapters.push import push as push_command
from graftlm.contracts.errors import UsageError
from graftlm.contracts.specs import PromptTemplate
from graftlm.sharing import ollama
from graftlm.sharing.export import export
from graftlm_registry.adapters import open_store
from graftlm_registry.plugins import registry


def said_by(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in folder.iterdir())


@pytest.mark.parametrize(
    ("source", "published"),
    [
        ("/home/me/secret", ""),
        ("file:///home/me/secret", ""),
        ("~/secret", ""),
        ("C:\\me\\secret", ""),
        ("s3://key:secret@bucket/a/1", "s3://bucket/a/1"),
        ("hf:owner/name@main", "hf:owner/name@main"),
    ],
)
def test_where_it_was_found_is_said_if_others_can_go(home: Path, tmp_path: Path, source: str, published: str) -> None:
    record = kept(origin="imported", source=source)
    export("skill", tmp_path / "out", registry())
    assert json.loads((tmp_path / "out" / "graftlm.json").read_bytes())["source"] == published
    card = (tmp_path / "out" / "README.md").read_text(encoding="utf-8")
    assert ("found at" in card) == (published != "")
    export("skill", tmp_path / "ollama", registry(), form="ollama", ollama_base="mistral")
    for folder in ("out", "ollama"):
        assert b"secret" not in said_by(tmp_path / folder)
    assert open_store().get("skill") == record


def test_notes_are_published_only_where_that_is_asked(home: Path, tmp_path: Path) -> None:
    kept()
    open_store().note("skill", "the customer is Anna")
    for number, (arguments, told) in enumerate([((), False), (("--notes",), True)]):
        for more in ((), ("--as", "ollama", "--ollama-base", "m")):
            out = tmp_path / f"{number}{len(more)}"
            done = CliRunner().invoke(export_command, ["skill", "--out", str(out), *more, *arguments])
            assert done.exit_code == 0, done.output
            assert (b"Anna" in said_by(out)) is told
        done = CliRunner().invoke(push_command, ["skill", f"memory://notes{number}", *arguments])
        assert done.exit_code == 0, done.output
        card = MemoryFileSystem.store[f"/notes{number}/skill/1/README.md"].getvalue()
        assert (b"Anna" in card) is told
    MemoryFileSystem.store.clear()


def test_the_size_of_an_archive_is_its_own(home: Path, tmp_path: Path) -> None:
    from graftlm.cli.tables import size

    kept()
    out = tmp_path / "skill.zip"
    done = CliRunner().invoke(export_command, ["skill", "--out", str(out), "--archive"])
    assert f"exported skill@1 to {out} ({size(out.stat().st_size)}: " in done.output
    folder = export("skill", tmp_path / "folder", registry())
    assert folder.size == sum(path.stat().st_size for path in (tmp_path / "folder").iterdir())
    assert folder.size != out.stat().st_size


def test_a_stop_token_that_a_modelfile_cannot_say_is_refused(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from dataclasses import replace

    kept(config=CONFIG)
    template: Any = registry().get(PromptTemplate, "mistral-v3")
    odd = replace(template, stop_tokens=(*template.stop_tokens, '<"end">'))
    monkeypatch.setattr(ollama, "_template", lambda *given: (odd, ("{{ .Prompt }}", "")))
    with pytest.raises(
        UsageError, match="a Modelfile cannot say the stop token '<\"end\">' of the template mistral-v3"
    ):
        export("skill", tmp_path / "out", registry(), form="ollama", ollama_base="mistral")
    assert not (tmp_path / "out").exists()
