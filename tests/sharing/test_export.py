"""``graftlm adapters export``: any tool reads what it writes, and it says nothing of this machine."""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import os
import re
import tarfile
import zipfile
from pathlib import Path
from typing import Any

import pytest
import torch
from click.testing import CliRunner
from shared_adapters import CONFIG, train
from whole_records import kept

from graftlm.cli.adapters.export import export as command
from graftlm.contracts.errors import GraftlmError, StoreError, UsageError
from graftlm.contracts.serial import from_json, to_json
from graftlm.running.answer import answer
from graftlm.running.stored import stored
from graftlm.sharing.export import export
from graftlm.testing.in_process import start_in_process
from graftlm_registry.adapters import open_store
from graftlm_registry.adapters.content import content_digest
from graftlm_registry.models import catalogue
from graftlm_registry.plugins import registry

FILES = {"README.md", "adapter_config.json", "adapter_model.safetensors", "graftlm.json"}


@pytest.fixture(scope="module")
def trained_home(tmp_path_factory: pytest.TempPathFactory, _probed: Path) -> Path:
    """A home with an adapter that was really trained."""
    folder = tmp_path_factory.mktemp("export")
    home = folder / "home"
    (home / "cache").mkdir(parents=True)
    (home / "probes").symlink_to(_probed / "probes")
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("GRAFTLM_HOME", str(home))
        train(folder)
        train(folder, name="dora", method="dora", rank=4, max_steps=2)
        train(folder, name="roped", rope="linear:2", max_steps=2)
    return home


@pytest.fixture
def trained(trained_home: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("GRAFTLM_HOME", str(trained_home))
    return "colours"


def snippet_of(folder: Path) -> str:
    return re.findall(r"^```python\n(.*?)^```$", (folder / "README.md").read_text(encoding="utf-8"), flags=re.M | re.S)[
        0
    ]


@pytest.mark.parametrize("name", ["colours", "dora"])
def test_plain_peft_gives_the_logits_of_graftlm(trained: str, name: str, tmp_path: Path) -> None:
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    from graftlm.worker.kept import with_kept

    done = export(name, tmp_path / "out", registry())
    ids = torch.arange(8, 72)[None]
    base = AutoModelForCausalLM.from_pretrained(catalogue().entry("tiny-mistral").folder, dtype=torch.float32)
    found = stored(open_store().get(name), open_store(), registry())
    with torch.inference_mode():
        plain = base.eval()(input_ids=ids).logits
        ours = with_kept(found.load, "files", found.folder, found.kept, "cpu").eval()(input_ids=ids).logits
        theirs = PeftModel.from_pretrained(base, tmp_path / "out").eval()(input_ids=ids).logits
    assert (theirs - plain).abs().max() > 0.1
    assert torch.equal(ours, theirs)
    assert set(done.files) == FILES == {path.name for path in (tmp_path / "out").iterdir()}
    assert (done.adapter, done.base, done.local) == (f"{name}@1", "tiny-mistral", "")


@pytest.mark.parametrize("name", ["colours", "roped"])
def test_the_program_on_the_card_runs_and_answers_as_graftlm_does(
    trained: str, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = export(name, tmp_path / "out", registry())
    assert any("load the base with linear by 2" in note for note in done.notes) == (name == "roped")
    monkeypatch.chdir(tmp_path / "out")
    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        exec(compile(snippet_of(tmp_path / "out"), "README.md", "exec"), {})
    (ours,) = answer(name, ["Hello!"], registry(), lambda event: None, 64, start=start_in_process)
    assert said.getvalue().strip() == ours.strip() != ""


def test_the_record_is_whole_and_the_files_are_the_store_s(trained: str, tmp_path: Path) -> None:
    export(trained, tmp_path / "out", registry())
    record = open_store().get(trained)
    text = (tmp_path / "out" / "graftlm.json").read_bytes()
    assert from_json(text, type(record), "it") == record
    assert text == to_json(record) + b"\n"
    for name in ("adapter_config.json", "adapter_model.safetensors"):
        assert (tmp_path / "out" / name).read_bytes() == (open_store().path(trained) / name).read_bytes()


def base_named(folder: Path) -> Any:
    return json.loads((folder / "adapter_config.json").read_text(encoding="utf-8"))["base_model_name_or_path"]


@pytest.mark.parametrize(
    ("stored_as", "exported_as", "same"),
    [(None, "tiny-mistral", True), ("", "tiny-mistral", True), ("owner/name", "owner/name", True),
     ("/home/me/secret", "tiny-mistral", False), ("C:\\models\\me", "tiny-mistral", False),
     ("./me", "tiny-mistral", False)],
)  # fmt: skip
def test_the_configuration_names_the_base_and_no_path(
    home: Path, tmp_path: Path, stored_as: Any, exported_as: str, same: bool
) -> None:
    record = kept(config={**CONFIG, "base_model_name_or_path": stored_as})
    done = export("skill", tmp_path / "out", registry())
    assert base_named(tmp_path / "out") == exported_as
    exported = from_json((tmp_path / "out" / "graftlm.json").read_bytes(), type(record), "it")
    assert (exported.digest == record.digest) is same
    assert done.digest == exported.digest
    everything = b"".join(path.read_bytes() for path in (tmp_path / "out").iterdir())
    assert b"secret" not in everything


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.mark.parametrize("suffix", [".tar.gz", ".zip"])
def test_an_archive_is_the_folder_and_always_the_same_bytes(home: Path, tmp_path: Path, suffix: str) -> None:
    kept()
    export("skill", tmp_path / "skill", registry())
    export("skill", tmp_path / "one" / f"skill{suffix}", registry(), archive=True)
    before = os.umask(0o077)
    try:
        export("skill", tmp_path / "two" / f"skill{suffix}", registry(), archive=True)
    finally:
        os.umask(before)
    one, two = (tmp_path / where / f"skill{suffix}" for where in ("one", "two"))
    assert digest(one) == digest(two)
    assert [path.name for path in one.parent.iterdir()] == [one.name]
    if suffix == ".zip":
        with zipfile.ZipFile(one) as whole:
            assert not whole.testzip()
            whole.extractall(tmp_path / "unpacked")
    else:
        with tarfile.open(one) as packed:
            assert {(m.uid, m.gid, m.uname, m.mtime) for m in packed.getmembers()} == {(0, 0, "", 0)}
            packed.extractall(tmp_path / "unpacked", filter="data")
    unpacked = {path.name: path.read_bytes() for path in (tmp_path / "unpacked" / "skill").iterdir()}
    assert unpacked == {path.name: path.read_bytes() for path in (tmp_path / "skill").iterdir()}


def test_what_cannot_be_written_is_refused_first(home: Path, tmp_path: Path) -> None:
    kept()
    full = tmp_path / "full"
    full.mkdir()
    (full / "x").write_text("x", encoding="utf-8")
    (tmp_path / "there.zip").write_text("x", encoding="utf-8")
    for out, archive, words in (
        (full, False, "is not empty"),
        (full / "x", False, "is a file"),
        (tmp_path / "there.zip", True, "is there already"),
        (tmp_path / "a.zip", False, "add --archive, or give a folder"),
        (tmp_path / "a.rar", True, r"a NAME.tar.gz or a NAME.zip"),
        (tmp_path / ".zip", True, r"a NAME.tar.gz or a NAME.zip"),
    ):
        with pytest.raises(UsageError, match=words):
            export("skill", out, registry(), archive=archive)
    with pytest.raises(StoreError, match=r"there\.zip/a\.zip cannot be written"):
        export("skill", tmp_path / "there.zip" / "a.zip", registry(), archive=True)
    with pytest.raises(UsageError, match="--licence"):
        export("skill", tmp_path / "new", registry(), licence="a\nb")
    assert sorted(path.name for path in tmp_path.iterdir() if path.name != "home") == ["full", "there.zip"]


def test_damaged_files_are_not_given_away(home: Path, tmp_path: Path) -> None:
    kept()
    weights = open_store().path("skill") / "adapter_model.safetensors"
    weights.chmod(0o644)
    content = weights.read_bytes()
    weights.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    with pytest.raises(GraftlmError):
        export("skill", tmp_path / "out", registry())
    assert not (tmp_path / "out").exists()


def test_an_overlay_is_sent_to_merge(home: Path, tmp_path: Path) -> None:
    kept(kind="overlay")
    with pytest.raises(UsageError, match="graftlm adapters merge skill@1 --out DIR"):
        export("skill", tmp_path / "out", registry())


def said(*arguments: str | Path) -> Any:
    return CliRunner().invoke(command, [str(argument) for argument in arguments], catch_exceptions=True)


def test_the_command(home: Path, tmp_path: Path) -> None:
    record = kept()
    done = said("skill", "--out", tmp_path / "one", "--licence", "mit")
    assert done.exit_code == 0, done.output
    assert f"exported skill@1 to {tmp_path / 'one'}" in done.output
    assert "license: mit" in (tmp_path / "one" / "README.md").read_text(encoding="utf-8")
    done = said("skill@1", "--out", tmp_path / "two.zip", "--archive", "--json")
    told = json.loads(done.stdout)
    assert (told["adapter"], told["form"], told["digest"]) == ("skill@1", "peft", record.digest)
    assert set(told["files"]) == FILES
    refused = said("skill", "--out", tmp_path / "three", "--ollama-base", "mistral")
    assert isinstance(refused.exception, UsageError)
    assert not (tmp_path / "three").exists()


def test_where_the_base_lay_is_told_to_whoever_exports(home: Path, tmp_path: Path) -> None:
    from dataclasses import replace

    from kept_adapters import draft

    base = replace(draft("").base, reference="/home/me/mistral", name="mistral", source="folder")
    kept(base=base)
    done = said("skill", "--out", tmp_path / "out")
    assert "Note: graftlm.json names the base as it was named in training: /home/me/mistral" in done.stderr
    assert "/home/me" not in (tmp_path / "out" / "README.md").read_text(encoding="utf-8")


def test_content_is_what_peft_reads(home: Path, tmp_path: Path) -> None:
    """What was exported has the digest of its record, without the card."""
    record = kept()
    export("skill", tmp_path / "out", registry())
    for name in ("README.md", "graftlm.json"):
        (tmp_path / "out" / name).unlink()
    config = tmp_path / "out" / "adapter_config.json"
    given = {**json.loads(config.read_text(encoding="utf-8"))}
    assert given.pop("base_model_name_or_path") == "tiny-mistral"
    config.write_text(json.dumps(given), encoding="utf-8")
    assert content_digest(tmp_path / "out") == record.digest
